// SPDX-License-Identifier: Apache-2.0
// What is known of servers: which (instance, VIP, server) is which subject of a verdict, the checks that each subject needs, and what
// real flows did there since the last frame. No I/O, no clock of its own.
import type { Plan, PlannedCheck } from "../common/checks/plan.js";
import { type VipBirth, vipKey } from "../common/identity.js";
import type { Column } from "../common/native/addon.js";
import type { FrameView, Protocol } from "../common/native/frame.js";
import { ServerFlag } from "../common/vocabulary.js";
import type { PlannedVip, VipDemand } from "./demands.js";
import {
  complaint,
  eject,
  type FlowEvidence,
  type FlowRate,
  isOut,
  learnFlows,
  NO_FLOWS,
  PASSIVE_START,
  type Passive,
  rateAfter,
} from "./passive.js";
import {
  CHECK_START,
  type CheckResult,
  type CheckState,
  combine,
  judgeCheck,
  type Verdict,
  verdictOf,
  verdictStart,
} from "./verdict.js";

export interface Target {
  instance: string;
  vipId: number;
  dpEpoch: bigint;
  serverId: number;
  address: string;
  vipName: string;
  protocol: Protocol;
}

export interface Change {
  target: Target;
  verdict: Verdict;
}

/** What is judged: one address may serve TCP well and UDP not at all, and be well by one VIP's check and not by another's. */
interface Subject {
  key: string;
  address: string;
  protocol: Protocol;
  plan: Plan;
  checks: Run[];
  passive: Passive;
  verdict: Verdict;
  /** When a flow went well there last, at any load balancer. */
  goodAt: number;
  vips: Set<VipSeen>;
}

/** A check that runs, for all subjects that ask for it. */
interface Run {
  check: PlannedCheck;
  state: CheckState;
  subjects: Set<Subject>;
}

interface VipSeen extends PlannedVip {
  key: string;
  instance: string;
  vipId: number;
  dpEpoch: bigint;
  generation: number;
  seenAt: number;
  /** When a flow went well at any server, by this load balancer. */
  goodAt: number;
  ids: Uint32Array;
  /** Of each id; null: it is leaving and gets no new flows, nobody asks for it. */
  subjects: (Subject | null)[];
  /** COUNTS cumulative counts an id; NaN: none yet. */
  counts: Float64Array;
}

/** Of a frame, summed: what counts as one thing. */
const COUNTS: readonly (readonly string[])[] = [
  ["unanswered"],
  ["refusals"],
  ["resets", "empty_ends"],
  ["completions", "answers"],
];

export interface RegistryEvents {
  /** Verdicts that turned, or (`joined`) those of servers that a VIP's list has anew. */
  changed(changes: Change[], joined: boolean): void;
  /** A check is needed from now on, or no longer. */
  check(check: PlannedCheck, needed: boolean): void;
  /** Flows put a server out, or would have if not too many of its VIP were out already. */
  ejected?(capped: boolean): void;
}

/** A VIP whose frames stop, and whose agent says nothing of it, is forgotten after this. */
export const FORGET_MS = 10_000;
export const SILENCE_MS = 2000;
/** A load balancer at which nothing went well for so long may be cut off, where others have better luck. */
const LUCK_MS = 2000;

export class HealthRegistry {
  /** By instance and birth. */
  readonly #vips = new Map<string, VipSeen>();
  readonly #subjects = new Map<string, Subject>();
  readonly #runs = new Map<string, Run>();
  readonly #demands = new Map<string, VipDemand>();
  /** When a load balancer was heard last; null: none ever. */
  #heardAt: number | null = null;

  constructor(
    private readonly plan: (vip: PlannedVip, server: string) => Plan,
    private readonly events: RegistryEvents,
    /** Frames come several times in this time from every load balancer that lives. */
    private readonly silenceMs = SILENCE_MS,
  ) {}

  /** A frame of one VIP. */
  frame(instance: string, f: FrameView, now: number): void {
    const key = `${instance}/${vipKey(f)}`;
    let seen = this.#vips.get(key);
    if (seen === undefined || seen.generation !== f.generation || !sameIds(seen.ids, f.ids)) {
      seen = this.#listed(key, instance, f, seen, now);
    }
    seen.seenAt = now;
    this.#heardAt = now;
    this.#evidence(seen, f, now);
  }

  /** What VIPs a data plane has, whole: others of its life are gone. */
  roster(instance: string, dpEpoch: bigint, vips: readonly VipBirth[]): void {
    const here = new Set(vips.map((v) => `${instance}/${vipKey(v)}`));
    for (const [key, seen] of this.#vips) {
      if (seen.instance === instance && seen.dpEpoch === dpEpoch && !here.has(key)) this.#forget(seen);
    }
    for (const key of this.#demands.keys()) {
      if (key.startsWith(`${instance}/`) && !here.has(key)) this.#demands.delete(key);
    }
  }

  /** How a load balancer's configuration wants its VIPs checked; those that it does not name as nothing in particular. */
  demand(instance: string, vips: readonly (VipBirth & { demand: VipDemand })[], now: number): void {
    for (const v of vips) {
      const key = `${instance}/${vipKey(v)}`;
      this.#demands.set(key, v.demand);
      const seen = this.#vips.get(key);
      if (!seen || seen.demand?.key === v.demand.key) continue;
      seen.demand = v.demand;
      this.#replan(seen, now);
    }
  }

  /** Plans changed. Verdicts stay until the new checks come to others. */
  replan(now: number): void {
    for (const seen of this.#vips.values()) this.#replan(seen, now);
  }

  checked(checkKey: string, result: CheckResult, now: number): void {
    const run = this.#runs.get(checkKey);
    if (!run) return;
    // Failures while no load balancer is heard may mean that this machine is cut off; nobody waits for a verdict then.
    if (!result.ok && this.#heardAt !== null && now - this.#heardAt > this.silenceMs) return;
    run.state = judgeCheck(run.state, result, run.check, now);
    for (const subject of run.subjects) this.#update(subject, now);
  }

  /** Call every second or so. */
  tick(now: number): void {
    for (const seen of this.#vips.values()) if (now - seen.seenAt >= FORGET_MS) this.#forget(seen);
    for (const subject of this.#subjects.values()) if (subject.verdict.passive) this.#update(subject, now);
  }

  *all(): Generator<Change> {
    for (const seen of this.#vips.values()) yield* changesOf(seen, () => true);
  }

  /** Whether a load balancer has a server of this address. */
  has(address: string): boolean {
    for (const s of this.#subjects.values()) if (s.address === address) return true;
    return false;
  }

  /** The verdict of each server, once. */
  *verdicts(): Generator<Verdict> {
    for (const s of this.#subjects.values()) yield s.verdict;
  }

  #listed(key: string, instance: string, f: FrameView, before: VipSeen | undefined, now: number): VipSeen {
    const { vipId, dpEpoch, generation, name, address, protocol } = f;
    const seen: VipSeen = {
      ...{ key, instance, vipId, dpEpoch, generation, name, address, protocol },
      seenAt: now,
      goodAt: before?.goodAt ?? Number.NEGATIVE_INFINITY,
      demand: this.#demands.get(key),
      ids: f.ids.slice(),
      subjects: [],
      counts: new Float64Array(f.count * COUNTS.length).fill(Number.NaN),
    };
    this.#vips.set(key, seen);
    const places = new Map(Array.from(before?.ids ?? [], (id, i) => [id, i]));
    const added = new Set<number>();
    // A server without a port of its own takes the packet's: it is checked at the VIP's.
    const vipPort = address.slice(address.lastIndexOf(":"));
    f.addresses().forEach((a, i) => {
      const leaving = ((f.flags[i] as number) & ServerFlag.LEAVING) !== 0;
      seen.subjects.push(leaving ? null : this.#use(seen, a.endsWith(":0") ? a.slice(0, -2) + vipPort : a, null, now));
      const place = places.get(f.ids[i] as number);
      if (before === undefined || place === undefined || before.subjects[place] === null) {
        if (!leaving) added.add(i);
      }
      if (before !== undefined && place !== undefined)
        seen.counts.set(before.counts.subarray(place * COUNTS.length, (place + 1) * COUNTS.length), i * COUNTS.length);
    });
    if (before) this.#release(before);
    if (added.size > 0) this.events.changed([...changesOf(seen, (_, i) => added.has(i))], true);
    return seen;
  }

  #replan(seen: VipSeen, now: number): void {
    const before = seen.subjects;
    seen.subjects = before.map((s) => s && this.#use(seen, s.address, s, now));
    const turned = (s: Subject, i: number): boolean => {
      const old = before[i] as Subject;
      return old.verdict.state !== s.verdict.state || old.verdict.waiting !== s.verdict.waiting;
    };
    const changes = [...changesOf(seen, turned)];
    if (changes.length > 0) this.events.changed(changes, false);
    const kept = new Set(seen.subjects);
    for (const s of new Set(before)) if (s && !kept.has(s)) this.#unuse(seen, s);
  }

  #evidence(seen: VipSeen, f: FrameView, now: number): void {
    const columns = COUNTS.map((fields) => fields.map((name) => f.column(name)));
    const bad: { subject: Subject; e: FlowEvidence }[] = [];
    const grown = [0, 0, 0, 0];
    for (let i = 0; i < f.count; i++) {
      let any = false;
      for (let c = 0; c < COUNTS.length; c++) {
        let sum = 0;
        for (const column of columns[c] as Column[]) sum += column[i] as number;
        const at = i * COUNTS.length + c;
        const growth = sum - (seen.counts[at] as number);
        seen.counts[at] = sum;
        grown[c] = growth > 0 ? growth : 0; // of NaN too: a first frame's counts are of before
        any ||= growth > 0;
      }
      const subject = seen.subjects[i];
      if (!subject || !any) continue;
      const [unanswered = 0, refusals = 0, badEnds = 0, successes = 0] = grown;
      if (successes > 0) {
        subject.goodAt = now;
        seen.goodAt = now;
      }
      if (unanswered + refusals > 0 && successes === 0 && cutOff(seen, subject, now)) continue;
      const e = { unanswered, refusals, badEnds, successes };
      subject.passive = learnFlows(subject.passive, e, now);
      if (unanswered + refusals + badEnds > 0) bad.push({ subject, e });
    }
    if (bad.length > 0) this.#judge(seen, bad, now);
  }

  #judge(seen: VipSeen, bad: readonly { subject: Subject; e: FlowEvidence }[], now: number): void {
    let badEnds = 0;
    let successes = 0;
    const rates = new Map<Subject, FlowRate>();
    for (const s of seen.subjects) {
      if (s === null || rates.has(s)) continue;
      const rate = rateAfter(s.passive.rate, NO_FLOWS, now);
      rates.set(s, rate);
      badEnds += rate.badEnds;
      successes += rate.successes;
    }
    for (const { subject, e } of bad) {
      if (isOut(subject.passive, now) || subject.verdict.state === "DOWN") continue;
      const own = rates.get(subject) as FlowRate;
      const peers = { badEnds: badEnds - own.badEnds, successes: successes - own.successes, at: now };
      const { passive } = subject.plan;
      const reason = complaint(subject.passive, e, passive.failures, peers);
      if (reason === null) continue;
      const capped = !roomToEject(seen, passive.maxShare, now);
      this.events.ejected?.(capped);
      if (capped) continue;
      subject.passive = eject(subject.passive, reason, passive.holdMs, now);
      this.#update(subject, now);
    }
  }

  #update(s: Subject, now: number): void {
    if (!this.#settle(s, now)) return;
    const changes: Change[] = [];
    for (const seen of s.vips) changes.push(...changesOf(seen, (other) => other === s));
    if (changes.length > 0) this.events.changed(changes, false);
  }

  /** True where the verdict is another now. */
  #settle(s: Subject, now: number): boolean {
    const before = s.verdict;
    const opinion = combine(
      s.checks.map((r) => r.state),
      s.plan.any,
    );
    s.verdict = verdictOf(before, opinion, isOut(s.passive, now) ? s.passive.reason : null, s.plan.waits, now);
    return before.state !== s.verdict.state || before.waiting !== s.verdict.waiting;
  }

  #forget(seen: VipSeen): void {
    this.#vips.delete(seen.key);
    this.#demands.delete(seen.key);
    this.#release(seen);
  }

  #use(seen: VipSeen, address: string, before: Subject | null, now: number): Subject {
    const plan = this.plan(seen, address);
    const key = `${seen.protocol}/${address}/${plan.key}`;
    let s = this.#subjects.get(key);
    if (!s) {
      s = this.#newSubject(key, address, seen.protocol, plan, now);
      if (before) Object.assign(s, { verdict: before.verdict, passive: before.passive, goodAt: before.goodAt });
      this.#subjects.set(key, s);
      // Without checks it is up at once; a check that runs for others already may have a word.
      this.#settle(s, now);
    }
    s.vips.add(seen);
    return s;
  }

  #newSubject(key: string, address: string, protocol: Protocol, plan: Plan, now: number): Subject {
    const s: Subject = {
      ...{ key, address, protocol, plan },
      checks: [],
      passive: PASSIVE_START,
      verdict: verdictStart(now, plan.waits && plan.checks.length > 0),
      goodAt: Number.NEGATIVE_INFINITY,
      vips: new Set(),
    };
    for (const check of plan.checks) {
      let run = this.#runs.get(check.key);
      if (!run) {
        run = { check, state: CHECK_START, subjects: new Set() };
        this.#runs.set(check.key, run);
        this.events.check(check, true);
      }
      run.subjects.add(s);
      s.checks.push(run);
    }
    return s;
  }

  #release(seen: VipSeen): void {
    for (const s of new Set(seen.subjects)) if (s) this.#unuse(seen, s);
  }

  #unuse(seen: VipSeen, s: Subject): void {
    s.vips.delete(seen);
    if (s.vips.size > 0) return;
    this.#subjects.delete(s.key);
    for (const run of s.checks) {
      run.subjects.delete(s);
      if (run.subjects.size > 0) continue;
      this.#runs.delete(run.check.key);
      this.events.check(run.check, false);
    }
  }
}

function* changesOf(seen: VipSeen, which: (s: Subject, i: number) => boolean): Generator<Change> {
  const { instance, vipId, dpEpoch, name, protocol } = seen;
  for (let i = 0; i < seen.subjects.length; i++) {
    const s = seen.subjects[i];
    if (!s || !which(s, i)) continue;
    const serverId = seen.ids[i] as number;
    yield { target: { instance, vipId, dpEpoch, serverId, address: s.address, vipName: name, protocol }, verdict: s.verdict };
  }
}

const sameIds = (a: Uint32Array, b: Uint32Array): boolean => a.length === b.length && a.every((id, i) => id === b[i]);

/** Connects of a load balancer to whom nothing goes well, at a server with which others have no trouble, say something of itself only. */
const cutOff = (seen: VipSeen, s: Subject, now: number): boolean =>
  seen.subjects.length > 1 && now - seen.goodAt > LUCK_MS && now - s.goodAt <= LUCK_MS;

/** Whether flows may put one more server of the VIP out. One they always may: where most are bad, the checks are to say so. */
function roomToEject(seen: VipSeen, maxShare: number, now: number): boolean {
  if (maxShare === 0) return false;
  const members = new Set(seen.subjects.filter((s) => s !== null));
  let out = 0;
  for (const s of members) if (isOut(s.passive, now)) out++;
  return out < Math.max(1, Math.floor(maxShare * members.size));
}
