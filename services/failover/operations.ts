// SPDX-License-Identifier: Apache-2.0
// What operators can do to an intent: pure functions from the newest record to the next one, which may be called again on a newer record.
import { invalid, ServiceError } from "../common/grpc/errors.js";
import { type HoldKind, holdsOf, type Intent, type OverrideOrder, type Stamp, type Wanted } from "./intent.js";

export interface Outcome {
  next: Intent;
  /** For people; empty = the record is as it was wanted already. */
  what: string[];
}

/** Throws a ServiceError where the newest record forbids it. */
export type Operation = (newest: Intent) => Outcome;

/** A server may be held though no list has it; this bounds how many. */
const MAX_HOLDS = 4096;

/** By when the flows of a drained server are to be gone, Unix ms, and whether those that are left then are closed. */
export interface Deadline {
  at: number;
  close: boolean;
}

const byWhen = (deadline: number | null, close: boolean): string =>
  deadline === null ? "" : `, by ${new Date(deadline).toISOString()}${close ? ", then closed" : ""}`;

/**
 * Takes a server out of the choice for new flows. One that is held so already keeps the reason and the deadline that it has where none is
 * named: who asks again may only want to wait.
 */
export function hold(kind: HoldKind, address: string, wanted: Deadline | null, stamp: Stamp): Operation {
  return (newest) => {
    const before = newest.holds.find((h) => h.kind === kind && h.address === address);
    const deadline = wanted?.at ?? before?.deadline ?? null;
    const close = wanted?.close ?? before?.close ?? false;
    const reason = stamp.reason || (before?.reason ?? "");
    if (before && before.deadline === deadline && before.close === close && before.reason === reason)
      return { next: newest, what: [] };
    const rest = newest.holds.filter((h) => h !== before);
    if (rest.length >= MAX_HOLDS)
      throw new ServiceError("RESOURCE_EXHAUSTED", `pool ${newest.pool}: ${MAX_HOLDS} servers are held`);
    const holds = [...rest, { ...stamp, reason, address, kind, deadline, close }];
    return { next: { ...newest, holds }, what: [`${kind} ${address}${byWhen(deadline, close)}`] };
  };
}

export function release(kind: HoldKind, address: string): Operation {
  return (newest) => {
    const holds = newest.holds.filter((h) => h.kind !== kind || h.address !== address);
    if (holds.length === newest.holds.length) return { next: newest, what: [] };
    return { next: { ...newest, holds }, what: [kind === "drain" ? `undrain ${address}` : `end of maintenance ${address}`] };
  };
}

export interface WantedMember extends Wanted {
  drain: boolean;
}

/**
 * Replaces the wanted list; an empty one hands the pool back to its data planes. `drain` of a member drains it; a drain that is there
 * ends by undrain only. `present`: what the data planes have, for what a local pool changes from. `revision` 0: whatever it is now.
 */
export function apply(members: readonly WantedMember[], revision: number, present: readonly Wanted[], stamp: Stamp): Operation {
  return (newest) => {
    if (revision !== 0 && revision !== newest.version)
      throw new ServiceError(
        "FAILED_PRECONDITION",
        `pool.revision: expected the current one, ${newest.version}, found ${revision}`,
      );
    const managed = members.length > 0;
    const wanted = members.map(({ address, weight }) => ({ address, weight }));
    const what = managed ? listChanges(newest.managed ? newest.members : present, wanted) : [];
    if (managed !== newest.managed) what.unshift(managed ? "local -> managed" : "managed -> local");
    let next: Intent = { ...newest, managed, members: wanted };
    for (const m of members) {
      if (!m.drain) continue;
      if (holdsOf(next, m.address).some((h) => h.kind === "drain")) continue;
      const drained = hold("drain", m.address, null, stamp)(next);
      next = drained.next;
      what.push(...drained.what);
    }
    return { next, what };
  };
}

/** What changes from one list to another, for people. */
function listChanges(before: readonly Wanted[], after: readonly Wanted[]): string[] {
  const old = new Map(before.map((m) => [m.address, m.weight]));
  const out: string[] = [];
  for (const m of after) {
    const weight = old.get(m.address);
    old.delete(m.address);
    if (weight === undefined) out.push(`add ${m.address} weight ${m.weight}`);
    else if (weight !== m.weight) out.push(`weight of ${m.address}: ${weight} -> ${m.weight}`);
  }
  for (const address of old.keys()) out.push(`remove ${address}`);
  return out;
}

/** The first list of a pool that the configuration says is managed; an operator's is never replaced. */
export function first(members: readonly WantedMember[], stamp: Stamp): Operation {
  return (newest) => {
    if (newest.version > 0) return { next: newest, what: [] };
    return apply(members, 0, [], stamp)(newest);
  };
}

const sameWeights = (a: OverrideOrder["entries"], b: OverrideOrder["entries"]): boolean =>
  JSON.stringify(a) === JSON.stringify(b);

export function setOverride(override: Omit<OverrideOrder, keyof Stamp>, members: readonly string[], stamp: Stamp): Operation {
  return (newest) => {
    const none = new Set(override.entries.filter((e) => e.weight === 0).map((e) => e.address));
    if (members.length > 0 && members.every((a) => none.has(a)))
      throw invalid("weights", `expected a weight above 0 for some server of pool ${newest.pool}`);
    const { override: before } = newest;
    const same =
      before?.mode === override.mode && before.reason === stamp.reason && sameWeights(before.entries, override.entries);
    if (same) return { next: newest, what: [] };
    const weights = override.entries.map((e) => `${e.address}=${e.weight}`).join(" ");
    const mode = override.mode === "MODE_UNSPECIFIED" ? "" : `, ${override.mode}`;
    return { next: { ...newest, override: { ...override, ...stamp } }, what: [`override ${weights}${mode}`] };
  };
}

export const clearOverride: Operation = (newest) =>
  newest.override === null ? { next: newest, what: [] } : { next: { ...newest, override: null }, what: ["end of override"] };

/** `name` empty: the configured policy again. */
export function setPolicy(name: string, stamp: Stamp): Operation {
  return (newest) => {
    const before = newest.policy?.name ?? "";
    if (before === name) return { next: newest, what: [] };
    const policy = name === "" ? null : { name, ...stamp };
    return { next: { ...newest, policy }, what: [`policy ${before || "as configured"} -> ${name || "as configured"}`] };
  };
}

/** A load balancer obeys a version that the store no longer has: operations go on beyond it, or it would refuse their orders. */
export function raiseTo(version: number): Operation {
  return (newest) => {
    if (newest.version >= version) return { next: newest, what: [] };
    const what = [`versions ${newest.version + 1} to ${version} are lost from the store: a load balancer has obeyed ${version}`];
    return { next: { ...newest, version }, what };
  };
}
