// SPDX-License-Identifier: Apache-2.0
// HTTP servers in this process: number i answers "server i".
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

export class Origins {
  private constructor(
    readonly servers: readonly Server[],
    readonly addresses: readonly string[],
  ) {}

  static async start(n: number): Promise<Origins> {
    const servers = Array.from({ length: n }, (_, i) => createServer((_request, response) => response.end(`server ${i}\n`)));
    for (const s of servers) await new Promise<void>((resolve) => s.listen(0, "127.0.0.1", resolve));
    return new Origins(
      servers,
      servers.map((s) => `127.0.0.1:${(s.address() as AddressInfo).port}`),
    );
  }

  /** Closes number i with its connections; `open` brings it back at its address. */
  close(i: number): Promise<void> {
    const s = this.servers[i] as Server;
    s.closeAllConnections();
    return new Promise((resolve) => s.close(() => resolve()));
  }

  open(i: number): Promise<void> {
    const port = Number(this.addresses[i]?.split(":")[1]);
    return new Promise((resolve) => (this.servers[i] as Server).listen(port, "127.0.0.1", resolve));
  }

  stop(): void {
    for (const s of this.servers) {
      s.closeAllConnections();
      s.close();
    }
  }
}
