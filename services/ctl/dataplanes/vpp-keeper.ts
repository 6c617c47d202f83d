// SPDX-License-Identifier: Apache-2.0
// Gives a VPP what a configuration wants, and gives it back to one that lost it: VPP was started again, or somebody took it away. What
// else VPP has, by other hands, is left alone: other VIPs, and the servers of a VIP that is there.
import { execFile } from "node:child_process";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import type { Wanted, WantedVip } from "./vpp-wanted.js";

const run = promisify(execFile);

/** Answer of a VPP command. Throws where VPP does not answer. */
export type VppCli = (command: string) => Promise<string>;

export const vppCli =
  (vppctl: string, socket: string): VppCli =>
  async (command) => {
    const { stdout } = await run(vppctl, ["-s", socket, command], { timeout: 20_000, maxBuffer: 16 << 20 });
    return stdout.replaceAll("\r", "").trim();
  };

/** VPP understood a command and did not do it. */
export class VppRefused extends Error {
  readonly code = "VPP_REFUSED";
  constructor(command: string, answer: string) {
    super(`vpp refused \`${command}\`: ${answer}`);
  }
}

interface Found {
  enabled: boolean;
  region: string;
  natInterfaces: string[];
  vips: Set<string>;
}

/** Of `lb rl show config`. */
export function readConfig(text: string): Found {
  if (!text.startsWith("lb rl ")) throw new VppRefused("lb rl show config", `${text}; is lb_rl_plugin.so loaded?`);
  const all = (pattern: RegExp): string[] => [...text.matchAll(pattern)].map((m) => m[1] as string);
  return {
    enabled: /^lb rl \S+: enabled/.test(text),
    region: all(/^region (\S+),/gm)[0] ?? "",
    natInterfaces: all(/^nat interface (\S+)/gm),
    vips: new Set(all(/^VIP \[\d+\] (\S+) /gm)),
  };
}

export class VppKeeper {
  #settled = false;

  constructor(
    readonly cli: VppCli,
    readonly wanted: Wanted,
  ) {}

  /** Makes up for what is missing. Returns the commands that it gave, and one sentence for each that was refused. */
  async sync(): Promise<{ done: string[]; refused: string[] }> {
    const done: string[] = [];
    const refused: string[] = [];
    const give = async (command: string): Promise<boolean> => {
      const answer = await this.cli(command);
      if (answer !== "") refused.push(new VppRefused(command, answer).message);
      else done.push(command);
      return answer === "";
    };
    let found = readConfig(await this.cli("lb rl show config"));
    if (!found.enabled) {
      for (const c of this.wanted.enable) if (!(await give(c))) return { done, refused };
      found = { ...found, region: this.wanted.region, natInterfaces: [], vips: new Set() };
    }
    if (found.region !== this.wanted.region) {
      refused.push(`VPP's region is ${found.region}, the configuration's ${this.wanted.region}: \`lb rl disable\` first`);
      return { done, refused };
    }
    for (const i of this.wanted.natInterfaces) if (!found.natInterfaces.includes(i)) await give(`lb rl nat interface ${i}`);
    for (const v of this.wanted.vips) {
      const there = found.vips.has(v.name);
      // One that is there is made what the configuration says once; later it is only looked whether it still is.
      if ((!there || !this.#settled) && !(await give(v.set))) continue;
      if (there && (this.#settled || (await this.#hasServers(v)))) continue;
      for (const c of v.servers) if (!(await give(c))) break;
    }
    this.#settled = true;
    return { done, refused };
  }

  async #hasServers(v: WantedVip): Promise<boolean> {
    return /^\s+\[\d+\] id /m.test(await this.cli(`lb rl show servers vip ${v.name}`));
  }
}

const retryMs = 200;
/** VPP's end closes the connection; what is taken away of one that runs is noticed so late. */
const lookMs = 10_000;

/** Resolves when the connection to VPP's CLI socket, which says nothing, ends, or after lookMs. */
async function whileThere(socket: string, stop: AbortSignal): Promise<void> {
  if (stop.aborted) return; // while VPP was asked: the event is over
  const line = connect(socket);
  const timer = setTimeout(() => line.destroy(), lookMs);
  const end = (): void => void line.destroy();
  stop.addEventListener("abort", end, { once: true });
  await new Promise<void>((resolve) =>
    line
      .on("error", () => {})
      .on("close", () => resolve())
      .resume(),
  );
  clearTimeout(timer);
  stop.removeEventListener("abort", end);
}

export interface KeepOptions {
  socket: string;
  stop: AbortSignal;
  /** After each time that anything was given or refused; `away`: VPP does not answer. */
  said(news: { done: string[]; refused: string[]; away?: string }): void;
  /** Every refusal of the first time ends it. */
  strict?: boolean;
}

/** Keeps VPP what it should be until `stop`; throws VppRefused only where `strict`. */
export async function keepVpp(cli: VppCli, wanted: Wanted, o: KeepOptions): Promise<void> {
  let keeper = new VppKeeper(cli, wanted);
  let first = true;
  let before = "";
  while (!o.stop.aborted) {
    try {
      const news = await keeper.sync();
      const now = news.refused.join("\n");
      if (news.done.length > 0 || now !== before || first) o.said(news);
      before = now;
      if (first && o.strict && news.refused.length > 0) throw new VppRefused("configuration", now);
      first = false;
      await whileThere(o.socket, o.stop);
    } catch (e) {
      if (e instanceof VppRefused && first && o.strict) throw e;
      const why = (e as Error).message.trim().split("\n").at(-1) ?? "";
      if (why !== before && !o.stop.aborted) o.said({ done: [], refused: [], away: why });
      before = why;
      keeper = new VppKeeper(cli, wanted);
    }
    await sleep(retryMs, undefined, { signal: o.stop }).catch(() => {});
  }
}
