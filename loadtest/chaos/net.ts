// SPDX-License-Identifier: Apache-2.0
// Hosts of the site as network namespaces on one bridge, so that packets between two of them can be dropped without a word: below TCP,
// where a proxy cannot reach. All of it lives in a network namespace that main.ts begins, and goes with it.
import { execFile, execFileSync, spawn } from "node:child_process";
import { readlinkSync, writeFileSync } from "node:fs";
import { promisify } from "node:util";
import { eventually } from "../../testbed/wait.js";

const run = promisify(execFile);

const BRIDGE = "chaos0";
const HUB = "10.77.0.254";
/** Of the kernel's own table in the order of rules; those that drop stand before it. */
const LOCAL_PREFERENCE = "100";
const DROP_PREFERENCE = "1";

/** Whatever runs in there ends with the first process of it. */
const TOGETHER = ["--net", "--pid", "--fork", "--kill-child", "--mount-proc"];

/** How this process is started again in a network of its own; null: the kernel or its rights do not allow it. */
export function unshared(): string[] | null {
  for (const flags of [TOGETHER, ["--user", "--map-root-user", ...TOGETHER]]) {
    try {
      // What `Net` needs: a bridge, a pair of interfaces, rules, and a namespace inside.
      const tries = `ip link add ${BRIDGE} type bridge && ip link add v0 type veth peer name e0 && ip rule add pref 1 from 10.77.0.1 blackhole && unshare --net true`;
      execFileSync("unshare", [...flags, "sh", "-c", tries], { stdio: "ignore" });
      return ["unshare", ...flags];
    } catch {
      // The next way, or none.
    }
  }
  return null;
}

/** One host: a namespace with one address. */
export class Host {
  readonly #dropped = new Map<string, number>();

  constructor(
    readonly name: string,
    readonly address: string,
    private readonly holder: number,
  ) {}

  /** The command as it runs on this host. */
  command(command: readonly string[]): string[] {
    return ["nsenter", "--target", String(this.holder), "--net", "--", ...command];
  }

  async ip(...args: string[]): Promise<void> {
    const [file, ...rest] = this.command(["ip", ...args]) as [string, ...string[]];
    await run(file, rest);
  }

  /** Packets from `address` are dropped here from now on; `both`: what is sent there, too. Cuts of one address add up. */
  async drop(address: string, both: boolean): Promise<void> {
    await this.#rules("add", [`in ${address}`, ...(both ? [`out ${address}`] : [])]);
  }

  async pass(address: string, both: boolean): Promise<void> {
    await this.#rules("del", [`in ${address}`, ...(both ? [`out ${address}`] : [])]);
  }

  async #rules(what: "add" | "del", keys: readonly string[]): Promise<void> {
    for (const key of keys) {
      const count = (this.#dropped.get(key) ?? 0) + (what === "add" ? 1 : -1);
      this.#dropped.set(key, count);
      if (count !== (what === "add" ? 1 : 0)) continue;
      const [way, address] = key.split(" ") as [string, string];
      // A rule that drops acts on what arrives only: what one sends oneself would fail at once instead of vanishing. So what goes out
      // is dropped at its other end, the hub.
      if (way === "in") await this.ip("rule", what, "pref", DROP_PREFERENCE, "from", address, "blackhole");
      else
        await run("ip", ["rule", what, "pref", DROP_PREFERENCE, "from", this.address, "to", address, "iif", BRIDGE, "blackhole"]);
    }
  }
}

export class Net {
  readonly hub = HUB;
  readonly #hosts = new Map<string, Host>();
  readonly #ends: (() => void)[] = [];
  #addresses = 0;

  /** In a network namespace of its own only: it changes the rules of the one that it is in. */
  static async open(): Promise<Net> {
    await run("ip", ["link", "set", "lo", "up"]);
    await run("ip", ["link", "add", BRIDGE, "type", "bridge"]);
    await run("ip", ["addr", "add", `${HUB}/16`, "dev", BRIDGE]);
    await run("ip", ["link", "set", BRIDGE, "up"]);
    await localLast(async (args) => void (await run("ip", args)));
    // The route of an open connection is kept with it, and no rule is asked: not so here.
    for (const key of ["ip_early_demux", "tcp_early_demux"]) writeFileSync(`/proc/sys/net/ipv4/${key}`, "0");
    return new Net();
  }

  async host(name: string): Promise<Host> {
    const known = this.#hosts.get(name);
    if (known) return known;
    const n = this.#hosts.size + 1;
    // Ends with its input, so with this process.
    const holder = spawn("unshare", ["--net", "cat"], { stdio: ["pipe", "ignore", "inherit"] });
    const pid = holder.pid ?? -1;
    this.#ends.push(() => holder.stdin?.end());
    const own = readlinkSync("/proc/self/ns/net");
    await eventually(`a network namespace for ${name}`, async () => {
      try {
        return readlinkSync(`/proc/${pid}/ns/net`) !== own;
      } catch {
        return false;
      }
    });
    const host = new Host(name, `10.77.0.${n}`, pid);
    this.#hosts.set(name, host);
    await run("ip", ["link", "add", `v${n}`, "type", "veth", "peer", "name", `e${n}`]);
    await run("ip", ["link", "set", `e${n}`, "netns", String(pid)]);
    await run("ip", ["link", "set", `v${n}`, "master", BRIDGE, "up"]);
    await host.ip("link", "set", "lo", "up");
    await host.ip("addr", "add", `${host.address}/16`, "dev", `e${n}`);
    await host.ip("link", "set", `e${n}`, "up");
    await localLast((args) => host.ip(...args));
    const [file, ...args] = host.command([
      "sh",
      "-c",
      "cd /proc/sys/net/ipv4 && echo 0 >ip_early_demux && echo 0 >tcp_early_demux",
    ]);
    await run(file as string, args);
    return host;
  }

  /** One more address of the hub, where this process listens. */
  async address(): Promise<string> {
    const address = `10.77.1.${++this.#addresses}`;
    await run("ip", ["addr", "add", `${address}/16`, "dev", BRIDGE]);
    return address;
  }

  close(): void {
    for (const end of this.#ends) end();
  }
}

/** Rules are asked in order, and the table of local addresses first of all: it makes room for those that drop. */
async function localLast(ip: (args: string[]) => Promise<void>): Promise<void> {
  await ip(["rule", "add", "pref", LOCAL_PREFERENCE, "lookup", "local"]);
  await ip(["rule", "del", "pref", "0"]);
}
