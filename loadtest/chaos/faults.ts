// SPDX-License-Identifier: Apache-2.0
// What can go wrong with each process and each link. A fault is injected, lasts, and is mended; what it may cost is said.
import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { promisify } from "node:util";
import { Etcd3 } from "etcd3";
import type { Random } from "../demo/random.js";
import type { Link } from "./link.js";
import type { Part, Site, Wire } from "./site.js";
import { vdsoMissing } from "./vdso.js";

const run = promisify(execFile);

export interface Fault {
  name: string;
  /** The process or link: no two faults of one at a time. */
  at: string;
  inject(): Promise<void>;
  mend(): Promise<void>;
  /** A VIP whose connections this may cost: those that are open when it is injected, or all while it lasts. */
  costs?: { vip: string; all: boolean };
}

type Maker<T> = (site: Site, at: T, random: Random) => Fault;

const nothing = async (): Promise<void> => {};

const ofAnyPart: Maker<Part>[] = [
  (site, p) => ({
    name: "SIGSTOP",
    at: p.name,
    inject: async () => site.signal(p, "SIGSTOP"),
    mend: async () => site.signal(p, "SIGCONT"),
  }),
];

const killed: Maker<Part> = (site, p) => ({
  name: "kill -9",
  at: p.name,
  inject: () => site.kill(p),
  mend: () => site.begin(p),
});

/** The process that does a part's work: of a data plane not its supervisor. */
const working = (p: Part): number => p.serving ?? p.child?.pid ?? -1;

/** A soft limit of a running process, and back. One that died of it (etcd does, where it cannot write) is started again. */
function limit(name: string, resource: "nofile" | "fsize", value: (p: Part) => number): Maker<Part> {
  return (site, p) => {
    let before = "";
    const set = (v: string): Promise<unknown> => run("prlimit", ["--pid", String(working(p)), `--${resource}=${v}:`]);
    return {
      name,
      at: p.name,
      async inject() {
        const shown = await run("prlimit", ["--pid", String(working(p)), `--${resource}`, "--noheadings", "--output", "SOFT"]);
        before = shown.stdout.trim();
        await set(String(value(p)));
      },
      mend: async () => void (p.child?.ended ? await site.begin(p) : await set(before)),
    };
  };
}

/** Not one more than it has. */
const noDescriptor = limit("no descriptor left", "nofile", (p) => readdirSync(`/proc/${working(p)}/fd`).length);
/** Every write to a file fails (EFBIG), as on a full disk; pipes and sockets go on. */
const diskFull = limit("disk full", "fsize", () => 0);

const clockJump: Maker<Part> = (site, p, random) => {
  const seconds = Math.round((random() - 0.5) * 7200);
  return {
    name: "clock jump",
    at: p.name,
    inject: () => site.jumpClock(p, seconds),
    mend: () => site.jumpClock(p, 0),
  };
};

const ofService: Maker<Part>[] = [killed, noDescriptor, diskFull, clockJump];

const ofDataplane: Maker<Part>[] = [
  clockJump,
  // What it cannot accept waits in the backlog; what it has accepted and cannot connect is turned away. It writes no file while it serves.
  (site, p, random) => ({ ...noDescriptor(site, p, random), costs: { vip: p.address, all: true } }),
  (site, p) => ({ name: "takeover by hand", at: p.name, inject: () => site.takeOverByHand(p), mend: nothing }),
  // Its supervisor holds the listeners: only what it had accepted is lost.
  (site, p) => ({
    name: "kill -9",
    at: p.name,
    costs: { vip: p.address, all: false },
    inject: () => site.killServing(p),
    mend: () => site.serves(p),
  }),
  (site, p) => ({ ...killed(site, p, Math.random), name: "kill -9 with its supervisor", costs: { vip: p.address, all: true } }),
  // As systemctl restart does it, and as it must not be done.
  ...(["SIGUSR2", "SIGKILL"] as const).map(
    (signal): Maker<Part> =>
      (site, p) => ({
        name: signal === "SIGUSR2" ? "restart" : "kill -9 of the supervisor",
        at: p.name,
        inject: () => site.leave(p, signal),
        mend: () => site.takeOver(p),
      }),
  ),
];

const ofEtcd: Maker<Part>[] = [
  killed,
  noDescriptor,
  diskFull,
  ...(vdsoMissing === null ? [clockJump] : []),
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

/** Packets that vanish: one end hears nothing of the other, or neither of the other. */
const ofWire: Maker<Wire>[] = [true, false].map(
  (both): Maker<Wire> =>
    (_s, w) => ({
      name: both ? "packets dropped" : "packets dropped one way",
      at: w.name,
      inject: () => w.host.drop(w.address, both),
      mend: () => w.host.pass(w.address, both),
    }),
);

/** What a partition separates: the wires between its two sides. */
const PARTITIONS: readonly [name: string, separates: (w: Wire) => boolean][] = [
  ["two data centres apart", (w) => /1$/.test(w.from) !== /1$|^etcd$/.test(w.to) && !/^s\d$/.test(w.to)],
  ["health apart from failover", (w) => w.from.startsWith("failover") && w.to.startsWith("health")],
  ["a health replica apart from the servers", (w) => w.from === "health1" && /^s\d$/.test(w.to)],
  ["failover apart from etcd", (w) => w.to === "etcd"],
];

const partition: Maker<(typeof PARTITIONS)[number]> = (site, [name, separates]) => {
  const wires = site.wires.filter(separates);
  return {
    name,
    at: "network",
    inject: async () => void (await Promise.all(wires.map((w) => w.host.drop(w.address, true)))),
    mend: async () => void (await Promise.all(wires.map((w) => w.host.pass(w.address, true)))),
  };
};

const pick = <T>(random: Random, list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;

/** One fault somewhere, of which the name holds `only`. */
export function drawFault(site: Site, random: Random, only: string): Fault {
  for (let i = 0; i < 10_000; i++) {
    const fault = drawAny(site, random);
    if (fault.name.includes(only)) return fault;
  }
  throw new Error(`--only ${only}: no fault of this site has that in its name`);
}

/** As often of a process as of the network. */
function drawAny(site: Site, random: Random): Fault {
  if (random() < 0.5) return drawNetworkFault(site, random);
  const part = pick(random, [...site.parts.values()]);
  const own = part.kind === "dataplane" ? ofDataplane : part.kind === "etcd" ? ofEtcd : ofService;
  return pick(random, [...ofAnyPart, ...own])(site, part, random);
}

function drawNetworkFault(site: Site, random: Random): Fault {
  if (site.wires.length === 0 || random() < 0.4) return pick(random, ofLink)(site, pick(random, site.links), random);
  if (random() < 0.3) return partition(site, pick(random, PARTITIONS), random);
  return pick(random, ofWire)(site, pick(random, site.wires), random);
}
