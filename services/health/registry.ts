// SPDX-License-Identifier: Apache-2.0
// What is known of servers: which (instance, VIP, server) sits at which address, the verdict of each address, and what real flows
// did there since the last frame. No I/O, no clock of its own.
import { type VipBirth, vipKey } from "../common/identity.js";
import type { FrameView, Protocol } from "../common/native/frame.js";
import { ServerFlag } from "../common/vocabulary.js";
import {
  type CheckResult,
  type FlowEvidence,
  type FlowRate,
  judgeCheck,
  judgeFlows,
  judgeTime,
  NO_FLOWS,
  rateAfter,
  type Verdict,
  type VerdictRules,
  verdictStart,
} from "./verdict.js";

export interface Target {
  instance: string;
  vipId: number;
  dpEpoch: bigint;
  serverId: number;
  address: string;
  /** Name and address of its VIP. */
  vipName: string;
  vip: string;
  protocol: Protocol;
}

interface VipSeen {
  instance: string;
  vipId: number;
  dpEpoch: bigint;
  generation: number;
  seenAt: number;
  /** Its members, by id. A server that is leaving gets no new flows: nobody asks for it. */
  targets: Map<number, Target>;
  /** Cumulative counts at the last frame, by server id. */
  counts: Map<number, Counts>;
}

interface Counts {
  unanswered: number;
  refusals: number;
  resets: number;
  successes: number;
  rate: FlowRate;
}

interface Grown {
  target: Target;
  evidence: FlowEvidence;
  rate: FlowRate;
}

export interface Change {
  target: Target;
  verdict: Verdict;
}

/** What is judged: one address may serve TCP well and UDP not at all. */
export interface Service {
  address: string;
  protocol: Protocol;
}

const keyOf = (s: Service): string => `${s.protocol}/${s.address}`;

/** A VIP whose frames stop, and whose agent says nothing of it, is forgotten after this. */
export const FORGET_MS = 10_000;

export const SILENCE_MS = 2000;

export class HealthRegistry {
  /** By instance and birth. */
  readonly #vips = new Map<string, VipSeen>();
  /** By service. */
  readonly #verdicts = new Map<string, Verdict>();
  readonly #users = new Map<string, { service: Service; vip: string; count: number }>();

  readonly #onChange: (changes: Change[], joined: boolean) => void;
  readonly #onService: (service: Service, added: boolean) => void;
  rules: Record<Protocol, VerdictRules>;
  /** When a load balancer was heard last; null: none ever. */
  #heardAt: number | null = null;

  /** `onChange`: verdicts that turned, or (`joined`) those of servers that a VIP's list has anew. */
  constructor(
    rules: Record<Protocol, VerdictRules>,
    onChange: (changes: Change[], joined: boolean) => void,
    onService: (service: Service, added: boolean) => void,
    /** Frames come several times in this time from every load balancer that lives. */
    private readonly silenceMs = SILENCE_MS,
  ) {
    this.rules = rules;
    this.#onChange = onChange;
    this.#onService = onService;
  }

  /** A frame of one VIP. */
  frame(instance: string, f: FrameView, now: number): void {
    const key = `${instance}/${vipKey(f)}`;
    let seen = this.#vips.get(key);
    if (seen === undefined || seen.generation !== f.generation) {
      const before = seen;
      const fresh = this.#members(instance, f, before, now);
      seen = fresh.seen;
      this.#vips.set(key, seen);
      for (const t of seen.targets.values()) this.#use(t, now);
      for (const t of before?.targets.values() ?? []) this.#release(t);
      if (fresh.added.length > 0)
        this.#onChange(
          fresh.added.map((target) => ({ target, verdict: this.#verdictOf(target, now) })),
          true,
        );
    }
    seen.seenAt = now;
    this.#heardAt = now;
    if (this.rules[f.protocol].passiveFailures > 0) this.#evidence(seen, f, now);
  }

  /** What VIPs a data plane has, whole: others of its life are gone. */
  roster(instance: string, dpEpoch: bigint, vips: readonly VipBirth[]): void {
    const here = new Set(vips.map((v) => `${instance}/${vipKey(v)}`));
    for (const [key, seen] of this.#vips) {
      if (seen.instance === instance && seen.dpEpoch === dpEpoch && !here.has(key)) this.#forget(key, seen);
    }
  }

  checked(service: Service, result: CheckResult, now: number): void {
    const v = this.#verdicts.get(keyOf(service));
    // Failures while no load balancer is heard may mean that this machine is cut off; nobody waits for a verdict then.
    if (!result.ok && this.#heardAt !== null && now - this.#heardAt > this.silenceMs) return;
    if (v !== undefined) this.#update(service, v, judgeCheck(v, result, this.rules[service.protocol], now));
  }

  /** Call every second or so. */
  tick(now: number): void {
    for (const [key, seen] of this.#vips) {
      if (now - seen.seenAt < FORGET_MS) continue;
      this.#forget(key, seen);
    }
    for (const { service } of this.#users.values())
      this.#update(
        service,
        this.#verdictOf(service, now),
        judgeTime(this.#verdictOf(service, now), this.rules[service.protocol], now),
      );
  }

  all(now: number): Change[] {
    return [...this.#vips.values()].flatMap((s) =>
      [...s.targets.values()].map((target) => ({ target, verdict: this.#verdictOf(target, now) })),
    );
  }

  /** The address of a VIP that this server serves. */
  vipOf(service: Service): string | undefined {
    return this.#users.get(keyOf(service))?.vip;
  }

  services(): Service[] {
    return [...this.#users.values()].map((u) => u.service);
  }

  #members(instance: string, f: FrameView, before: VipSeen | undefined, now: number): { seen: VipSeen; added: Target[] } {
    const vipPort = f.address.slice(f.address.lastIndexOf(":") + 1);
    const added: Target[] = [];
    const addresses = f.addresses();
    const targets = new Map<number, Target>();
    f.ids.forEach((serverId, i) => {
      if (((f.flags[i] as number) & ServerFlag.LEAVING) !== 0) return;
      const old = before?.targets.get(serverId);
      // A server without a port of its own takes the packet's: it is checked at the VIP's.
      const address = old?.address ?? (addresses[i] as string).replace(/:0$/, `:${vipPort}`);
      const target = old ?? {
        instance,
        vipId: f.vipId,
        dpEpoch: f.dpEpoch,
        serverId,
        address,
        vipName: f.name,
        vip: f.address,
        protocol: f.protocol,
      };
      if (!old) added.push(target);
      targets.set(serverId, target);
    });
    const counts = before?.counts ?? new Map<number, Counts>();
    const { vipId, dpEpoch, generation } = f;
    return { seen: { instance, vipId, dpEpoch, generation, seenAt: now, targets, counts }, added };
  }

  #evidence(seen: VipSeen, f: FrameView, now: number): void {
    const unanswered = f.column("unanswered");
    const refusals = f.column("refusals");
    const resets = f.column("resets");
    const completions = f.column("completions");
    const answers = f.column("answers");
    const next = new Map<number, Counts>();
    const grown: Grown[] = [];
    for (let i = 0; i < f.count; i++) {
      const id = f.ids[i] as number;
      const c: Counts = {
        unanswered: unanswered[i] as number,
        refusals: refusals[i] as number,
        resets: resets[i] as number,
        successes: (completions[i] as number) + (answers[i] as number),
        rate: NO_FLOWS,
      };
      next.set(id, c);
      const last = seen.counts.get(id);
      const target = seen.targets.get(id);
      if (last === undefined || target === undefined) continue;
      const evidence: FlowEvidence = {
        unanswered: c.unanswered - last.unanswered,
        refusals: c.refusals - last.refusals,
        resets: c.resets - last.resets,
        successes: c.successes - last.successes,
      };
      c.rate = rateAfter(last.rate, evidence, now);
      grown.push({ target, evidence, rate: c.rate });
    }
    seen.counts = next;
    this.#judge(grown, now);
  }

  #judge(grown: Grown[], now: number): void {
    let resets = 0;
    let successes = 0;
    for (const { rate } of grown) {
      resets += rate.resets;
      successes += rate.successes;
    }
    for (const { target, evidence: e, rate } of grown) {
      if (e.unanswered + e.refusals + e.resets + e.successes === 0) continue;
      const v = this.#verdictOf(target, now);
      const peers = { resets: resets - rate.resets, successes: successes - rate.successes, at: now };
      this.#update(target, v, judgeFlows(v, e, this.rules[target.protocol], now, rate, peers));
    }
  }

  #verdictOf(service: Service, now: number): Verdict {
    const key = keyOf(service);
    let v = this.#verdicts.get(key);
    if (v === undefined) {
      v = verdictStart(now);
      this.#verdicts.set(key, v);
    }
    return v;
  }

  #update(service: Service, before: Verdict, after: Verdict): void {
    if (before === after) return;
    const key = keyOf(service);
    this.#verdicts.set(key, after);
    if (before.state === after.state) return;
    const changes: Change[] = [];
    for (const seen of this.#vips.values()) {
      for (const target of seen.targets.values()) if (keyOf(target) === key) changes.push({ target, verdict: after });
    }
    if (changes.length > 0) this.#onChange(changes, false);
  }

  #forget(key: string, seen: VipSeen): void {
    this.#vips.delete(key);
    for (const t of seen.targets.values()) this.#release(t);
  }

  #use({ address, protocol, vip }: Target, now: number): void {
    const service = { address, protocol };
    const user = this.#users.get(keyOf(service));
    this.#verdictOf(service, now);
    if (user) {
      user.vip = vip;
      user.count++;
      return;
    }
    this.#users.set(keyOf(service), { service, vip, count: 1 });
    this.#onService(service, true);
  }

  #release(of: Service): void {
    const key = keyOf(of);
    const user = this.#users.get(key);
    if (!user || --user.count > 0) return;
    this.#users.delete(key);
    this.#verdicts.delete(key);
    this.#onService(user.service, false);
  }
}
