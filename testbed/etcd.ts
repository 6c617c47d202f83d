// SPDX-License-Identifier: Apache-2.0
// A real etcd of one member on free ports, for tests and benchmarks: killed, started again, cut off, compacted.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { request as plain } from "node:http";
import { request as secure } from "node:https";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { freePort, which } from "./process.js";
import { eventually } from "./wait.js";

/** Why there is none; null: there is one. */
export const etcdMissing = which("etcd") === null ? "no etcd is installed: apt install etcd-server" : null;

/** Of a cluster of one member; clients and the member itself at these URLs. */
export const etcdArguments = (client: string, peer: string): string[] => [
  ...["--listen-client-urls", client, "--advertise-client-urls", client],
  ...["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", `default=${peer}`],
];

const base64 = (text: string): string => Buffer.from(text).toString("base64");
/** The keys that begin so: etcd names the first one and the one behind the last. */
function below(prefix: string): { key: string; range_end: string } {
  const end = Buffer.from(prefix);
  end[end.length - 1] = (end.at(-1) as number) + 1;
  return { key: base64(prefix), range_end: end.toString("base64") };
}

type Teardown = { teardown(fn: () => void): void };

export class Etcd {
  tls: { ca: Buffer; cert: Buffer; key: Buffer } | null = null;
  private child: ChildProcess | null = null;
  private readonly sockets = new Set<Socket>();
  private link: { server: Server; port: number } | null = null;
  private readonly folder = mkdtempSync(path.join(tmpdir(), "marllb-etcd-"));

  private constructor(
    readonly endpoint: string,
    private readonly args: readonly string[],
  ) {}

  static async start(o: { tls?: boolean } = {}): Promise<Etcd> {
    const [client, peer] = [await freePort(), await freePort()];
    const endpoint = `${o.tls ? "https" : "http"}://127.0.0.1:${client}`;
    const it = new Etcd(endpoint, etcdArguments(endpoint, `http://127.0.0.1:${peer}`));
    if (o.tls) it.makeCertificates();
    await it.again();
    return it;
  }

  /** Starts it, or starts it again with what it had. */
  async again(): Promise<void> {
    const tls = this.tls
      ? [
          "--cert-file",
          this.file("cert"),
          "--key-file",
          this.file("key"),
          "--trusted-ca-file",
          this.file("cert"),
          "--client-cert-auth",
        ]
      : [];
    this.child = spawn("etcd", ["--data-dir", path.join(this.folder, "data"), ...this.args, ...tls], { stdio: "ignore" });
    await eventually("etcd answers", () => this.ask("kv/range", { key: base64("nothing") }).catch(() => null));
  }

  async kill(): Promise<void> {
    const child = this.child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
  }

  async stop(): Promise<void> {
    this.cut();
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** An endpoint that leads to it until `cut`, and after `heal` again. */
  async cuttable(t: Teardown): Promise<string> {
    const target = Number(new URL(this.endpoint).port);
    const server = createServer((a) => {
      const b = connect(target, "127.0.0.1");
      for (const [from, to] of [
        [a, b],
        [b, a],
      ] as const) {
        this.sockets.add(from);
        from
          .on("error", () => to.destroy())
          .on("close", () => {
            this.sockets.delete(from);
            to.destroy();
          });
        from.pipe(to);
      }
    });
    const port = await freePort();
    this.link = { server, port };
    this.heal();
    t.teardown(() => this.cut());
    return `127.0.0.1:${port}`;
  }

  cut(): void {
    this.link?.server.close();
    for (const s of this.sockets) s.destroy();
  }

  heal(): void {
    this.link?.server.listen(this.link.port, "127.0.0.1");
  }

  /** An endpoint that takes connections and never says a word. */
  async silent(t: Teardown): Promise<string> {
    const taken = new Set<Socket>();
    const server = createServer((s) => void taken.add(s.on("error", () => {})));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    t.teardown(() => {
      server.close();
      for (const s of taken) s.destroy();
    });
    return `127.0.0.1:${(server.address() as { port: number }).port}`;
  }

  async compact(): Promise<void> {
    const { header } = (await this.ask("kv/range", { key: base64("nothing") })) as { header: { revision: string } };
    await this.ask("kv/compaction", { revision: header.revision, physical: true });
  }

  async delete(prefix: string): Promise<void> {
    await this.ask("kv/deleterange", below(prefix));
  }

  /** What is stored below a prefix, as JSON. */
  async values(prefix: string): Promise<unknown[]> {
    const { kvs = [] } = (await this.ask("kv/range", below(prefix))) as { kvs?: { value: string }[] };
    return kvs.map((kv) => JSON.parse(Buffer.from(kv.value, "base64").toString()) as unknown);
  }

  /** From now on every client needs this login, or root's with the same password. */
  async enableLogin(username: string, password: string): Promise<void> {
    await this.ask("auth/role/add", { name: "root" });
    for (const name of ["root", username]) {
      await this.ask("auth/user/add", { name, password });
      await this.ask("auth/user/grant", { user: name, role: "root" });
    }
    await this.ask("auth/enable", {});
  }

  /** By its JSON gateway. */
  private ask(method: string, body: object): Promise<unknown> {
    const { tls } = this;
    const request = tls ? secure : plain;
    const options = { method: "POST", timeout: 5000, ...(tls && { ca: tls.ca, cert: tls.cert, key: tls.key }) };
    return new Promise((resolve, reject) => {
      const r = request(`${this.endpoint}/v3/${method}`, options, async (answer) => {
        let text = "";
        for await (const part of answer) text += part;
        if (answer.statusCode === 200) resolve(JSON.parse(text));
        else reject(new Error(`etcd ${method}: ${answer.statusCode} ${text}`));
      });
      r.on("error", reject).on("timeout", () => r.destroy(new Error(`etcd ${method}: no answer`)));
      r.end(JSON.stringify(body));
    });
  }

  private file(name: string): string {
    return path.join(this.folder, `${name}.pem`);
  }

  /** One certificate for both sides, which is its own authority. */
  private makeCertificates(): void {
    const subject = ["-subj", "/CN=marllb", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"];
    const key = ["-newkey", "rsa:2048", "-nodes", "-keyout", this.file("key")];
    execFileSync("openssl", ["req", "-x509", ...key, "-out", this.file("cert"), ...subject], { stdio: "ignore" });
    this.tls = {
      ca: readFileSync(this.file("cert")),
      cert: readFileSync(this.file("cert")),
      key: readFileSync(this.file("key")),
    };
  }
}
