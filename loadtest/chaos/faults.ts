// SPDX-License-Identifier: Apache-2.0
// What can go wrong with each process and each link. A fault is injected, lasts, and is mended; what it may cost is said.
import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { promisify } from "node:util";
import { Etcd3 } from "etcd3";
import type { Random } from "../demo/random.js";
import type { Link } from "./link.js";
import type { Part, Site } from "./site.js";

const run = promisify(execFile);

export interface Fault {
  name: string;
  /** The process or link: no two faults of one at a time. */
  at: string;
  inject(): Promise<void>;
  mend(): Promise<void>;
  /** A VIP whose connections this may cost, while it lasts. */
  costs?: string;
}

type Maker<T> = (site: Site, at: T, random: Random) => Fault;

const nothing = async (): Promise<void> => {};

const ofAnyPart: Maker<Part>[] = [
  (site, p) => ({
    name: "kill -9",
    at: p.name,
    ...(p.kind === "dataplane" && { costs: p.address }),
    async inject() {
      site.signal(p, "SIGKILL");
      await p.child?.exited;
    },
    mend: () => site.begin(p),
  }),
  (site, p) => ({
    name: "SIGSTOP",
    at: p.name,
    inject: async () => site.signal(p, "SIGSTOP"),
    mend: async () => site.signal(p, "SIGCONT"),
  }),
];

/** A soft limit of a running process, and back. */
function limit(name: string, resource: "nofile" | "fsize", value: (p: Part) => number): Maker<Part> {
  return (_site, p) => {
    let before = "";
    const set = (v: string): Promise<unknown> => run("prlimit", ["--pid", String(p.child?.pid), `--${resource}=${v}:`]);
    return {
      name,
      at: p.name,
      async inject() {
        const shown = await run("prlimit", ["--pid", String(p.child?.pid), `--${resource}`, "--noheadings", "--output", "SOFT"]);
        before = shown.stdout.trim();
        await set(String(value(p)));
      },
      mend: async () => void (await set(before)),
    };
  };
}

const clockJump: Maker<Part> = (site, p, random) => {
  const seconds = Math.round((random() - 0.5) * 7200);
  return {
    name: "clock jump",
    at: p.name,
    inject: async () => site.jumpClock(p, seconds),
    mend: async () => site.jumpClock(p, 0),
  };
};

const ofService: Maker<Part>[] = [
  limit("no descriptor left", "nofile", (p) => readdirSync(`/proc/${p.child?.pid}/fd`).length),
  // Every write to a file fails (EFBIG), as on a full disk; pipes and sockets go on.
  limit("disk full", "fsize", () => 0),
  clockJump,
];

const ofDataplane: Maker<Part>[] = [
  clockJump,
  (site, p) => ({ name: "takeover", at: p.name, inject: () => site.takeOver(p), mend: nothing }),
];

const ofEtcd: Maker<Part>[] = [
  (_site, p) => ({
    name: "compaction",
    at: p.name,
    async inject() {
      const client = new Etcd3({ hosts: `http://${p.address}` });
      try {
        const { header } = await client.getAll().prefix("/").exec();
        await client.kv.compact({ revision: header.revision, physical: true });
      } finally {
        client.close();
      }
    },
    mend: nothing,
  }),
];

const ofLink: Maker<Link>[] = [
  (_s, l) => ({ name: "cut", at: l.name, inject: async () => l.cut(), mend: async () => l.heal() }),
  (_s, l, random) => {
    const ms = 20 + Math.floor(random() * 400);
    return { name: `${ms} ms of delay`, at: l.name, inject: async () => l.slow(ms), mend: async () => l.heal() };
  },
  (_s, l) => ({ name: "reset", at: l.name, inject: async () => l.reset(), mend: nothing }),
];

const pick = <T>(random: Random, list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;

/** One fault somewhere: as often of a process as of a link. */
export function drawFault(site: Site, random: Random): Fault {
  if (random() < 0.5) return pick(random, ofLink)(site, pick(random, site.links), random);
  const part = pick(random, [...site.parts.values()]);
  const own = part.kind === "dataplane" ? ofDataplane : part.kind === "etcd" ? ofEtcd : ofService;
  return pick(random, [...ofAnyPart, ...own])(site, part, random);
}
