// SPDX-License-Identifier: Apache-2.0
// dataplane.* rows: new connections while marllb-dp dies, or is restarted as its unit does it (deploy/dp-stop.sh: SIGUSR2, then a start
// with --takeover).
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import os from "node:os";
import path from "node:path";
import { dpConfig } from "../../testbed/dp-config.js";
import { Child, freePort, nativeBin, START_MS } from "../../testbed/process.js";
import { sleep } from "../../testbed/wait.js";
import type { Group } from "./harness.js";
import { exact, row } from "./row.js";

/** New connections a second. */
const RATE = 150;

interface Refusals {
  opened: number;
  refused: number;
  /** Accepted, and cut before the answer: those that the dead process had. */
  cut: number;
  /** From the first to the last refusal of one moment. */
  longestS: number;
}

/** Opens connections at a steady rate; each asks once. */
class Knocking {
  readonly #timer: NodeJS.Timeout;
  readonly #pending = new Set<Promise<void>>();
  readonly #refusedAt: number[] = [];
  #opened = 0;
  #cut = 0;

  constructor(private readonly port: number) {
    this.#timer = setInterval(() => {
      const one = this.#knock().finally(() => this.#pending.delete(one));
      this.#pending.add(one);
    }, 1000 / RATE);
  }

  #knock(): Promise<void> {
    this.#opened++;
    return new Promise((resolve) => {
      const s = connect({ port: this.port, host: "127.0.0.1" }, () => s.write("?"));
      let answered = false;
      s.setTimeout(30_000, () => s.destroy());
      s.on("data", () => {
        answered = true;
        s.end();
      });
      s.on("error", (e: NodeJS.ErrnoException) => {
        if (e.code === "ECONNREFUSED") this.#refusedAt.push(performance.now());
      });
      s.on("close", () => {
        if (!answered) this.#cut++;
        resolve();
      });
    });
  }

  async stop(): Promise<Refusals> {
    clearInterval(this.#timer);
    await Promise.all(this.#pending);
    const refused = this.#refusedAt.length;
    return { opened: this.#opened, refused, cut: this.#cut - refused, longestS: longestRun(this.#refusedAt) };
  }
}

/** Refusals that are less than half a second apart belong to one moment. */
function longestRun(times: readonly number[]): number {
  let longest = 0;
  let first = 0;
  times.forEach((at, i) => {
    if (i === 0 || at - (times[i - 1] as number) > 500) first = at;
    longest = Math.max(longest, at - first + 1000 / RATE);
  });
  return longest / 1000;
}

class Supervised {
  #child: Child | undefined;
  pid = 0;
  private constructor(
    readonly folder: string,
    readonly port: number,
  ) {}

  static async start(server: string): Promise<Supervised> {
    const it = new Supervised(mkdtempSync(path.join(os.tmpdir(), "marllb-restart-")), await freePort());
    const vip = { name: "web", address: `127.0.0.1:${it.port}` };
    const files = { region: `${it.folder}/region`, control: `${it.folder}/control` };
    writeFileSync(`${it.folder}/dp.conf`, dpConfig({ ...files, threads: 2, frameMs: 100, vip, servers: [server] }));
    await it.begin();
    return it;
  }

  async begin(): Promise<void> {
    const flags = ["--config", `${this.folder}/dp.conf`, "--supervise", "--takeover"];
    this.#child = new Child([nativeBin("marllb-dp"), ...flags]);
    await this.ready();
  }

  async ready(): Promise<void> {
    for (;;) {
      const line = JSON.parse((await this.#child?.line(START_MS)) ?? "") as { ready: boolean; pid: number };
      this.pid = line.pid;
      if (line.ready) return;
    }
  }

  async kill(): Promise<void> {
    process.kill(this.pid, "SIGKILL");
    await this.ready();
  }

  async restart(): Promise<void> {
    this.#child?.process.kill("SIGUSR2");
    await this.#child?.exited;
    await this.begin();
  }

  async stop(): Promise<void> {
    this.#child?.process.kill("SIGTERM");
    await this.#child?.exited;
    rmSync(this.folder, { recursive: true, force: true });
  }
}

async function rounds(count: number, each: (it: Supervised) => Promise<void>): Promise<Refusals> {
  const server = createServer((s) => s.on("data", () => s.write("!")).on("error", () => {}));
  const port = await new Promise<number>((r) =>
    server.listen(0, "127.0.0.1", () => r((server.address() as { port: number }).port)),
  );
  const it = await Supervised.start(`127.0.0.1:${port}`);
  try {
    const knocking = new Knocking(it.port);
    for (let i = 0; i < count; i++) {
      await sleep(1500);
      await each(it);
    }
    await sleep(1500);
    return await knocking.stop();
  } finally {
    await it.stop();
    server.close();
  }
}

export const restart: Group = {
  ids: ["dataplane.kill9.refused_s", "dataplane.restart_refused"],
  async run(o) {
    const count = o.quick ? 3 : 20;
    const note = (r: Refusals): string =>
      `${r.refused} refused, ${r.cut} cut of ${r.opened} new connections at ${RATE}/s; ${count} times, two threads`;
    if (o.wants("dataplane.kill9.refused_s")) {
      const r = await rounds(count, (it) => it.kill());
      o.report(row("dataplane.kill9.refused_s", "s", "<= 0.1", exact(r.longestS, count), note(r)));
    }
    if (o.wants("dataplane.restart_refused")) {
      const r = await rounds(count, (it) => it.restart());
      o.report(row("dataplane.restart_refused", "conns", "<= 0", exact(r.refused + r.cut, count), note(r)));
    }
  },
};
