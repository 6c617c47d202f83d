// SPDX-License-Identifier: Apache-2.0
// In a network namespace: makes sockets that listen there and hands them to the parent process, which keeps its own namespace.
import dgram from "node:dgram";
import net from "node:net";

export interface Listening {
  id: number;
  protocol: "tcp" | "udp";
  host: string;
  port: number;
}
export interface Listened {
  id: number;
  error?: string;
}

const give = (answer: Listened, handle?: net.Server | dgram.Socket): void => {
  // The parent has a descriptor of its own by the time this is called back.
  process.send?.(answer, handle, {}, () => handle?.close());
};

process.on("message", ({ id, protocol, host, port }: Listening) => {
  const failed = (e: Error): void => give({ id, error: e.message });
  if (protocol === "tcp") {
    const server = net.createServer().on("error", failed);
    server.listen({ host, port, exclusive: true }, () => give({ id }, server));
  } else {
    const socket = dgram.createSocket("udp4").on("error", failed);
    socket.bind({ address: host, port, exclusive: true }, () => give({ id }, socket));
  }
});
process.on("disconnect", () => process.exit(0));
