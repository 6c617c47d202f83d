// SPDX-License-Identifier: Apache-2.0
// An origin as a process of its own, for outages: answers each connection's first bytes with "ok" and closes. Lines on its standard input
// change it: `close` (the port refuses), `open`, `quick` (accepts and closes at once), `well`. Prints its port, then each line done.
import net from "node:net";
import { createInterface } from "node:readline";

let quick = false;
let port = 0;
let server: net.Server | undefined;
const open = new Set<net.Socket>();

function listen(): Promise<void> {
  const s = net.createServer({ noDelay: true }, (c) => {
    open.add(c);
    c.on("error", () => c.destroy());
    c.on("close", () => open.delete(c));
    if (quick) c.destroy();
    else c.once("data", () => c.end("ok"));
  });
  server = s;
  return new Promise((resolve, reject) => {
    s.once("error", reject);
    // A short queue: once it is full and we are stopped, the kernel drops further SYNs.
    s.listen({ host: "127.0.0.1", port, backlog: Number(process.argv[2] ?? 511) }, () => {
      port = (s.address() as net.AddressInfo).port;
      resolve();
    });
  });
}

const orders: Record<string, () => void | Promise<void>> = {
  close() {
    server?.close();
    for (const c of open) c.resetAndDestroy();
  },
  open: listen,
  quick: () => void (quick = true),
  well: () => void (quick = false),
};

await listen();
process.stdout.write(`${port}\n`);
createInterface({ input: process.stdin })
  .on("line", (line) => {
    void Promise.resolve(orders[line]?.()).then(() => process.stdout.write(`${line}\n`));
  })
  .on("close", () => process.exit(0));
