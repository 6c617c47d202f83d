// SPDX-License-Identifier: Apache-2.0
// What operators want of a pool: one record a pool, versioned, changed by operations only (operations.ts). Nothing that was seen is in it.

/** Of every order: who gave it, why, and when (Unix ms). */
export interface Stamp {
  by: string;
  reason: string;
  at: number;
}

export interface Wanted {
  address: string;
  /** 0: no new flows. */
  weight: number;
}

/** Whose list a pool's members are. */
export type Source = "operator" | "discovery" | "data plane";

export type HoldKind = "drain" | "maintenance";

/** No new flows to a server, whether or not a data plane has it now. */
export interface Hold extends Stamp {
  address: string;
  kind: HoldKind;
  /** By when its flows are to be gone, Unix ms; null = none. */
  deadline: number | null;
  /** Those that are there then are closed; else they run on. */
  close: boolean;
}

export interface OverrideOrder extends Stamp {
  entries: { address: string; weight: number }[];
  /** "MODE_UNSPECIFIED" leaves the mode as it is. */
  mode: string;
}

export interface PolicyOrder extends Stamp {
  name: string;
}

export interface Intent {
  pool: string;
  /** Raised by one by each operation; 0 = nobody ordered anything. */
  version: number;
  /** The list is ours; else it is that of the data planes. */
  managed: boolean;
  /** Of a managed pool. */
  members: Wanted[];
  holds: Hold[];
  override: OverrideOrder | null;
  policy: PolicyOrder | null;
}

/** One operation, for the history. */
export interface Change extends Stamp {
  /** Of the intent after it. */
  version: number;
  /** Names this operation among all, so that who asked can find out whether it was taken. */
  id: string;
  what: string[];
}

export const HISTORY_LIMIT = 1000;
/** Of what an operation did: a list of a thousand servers that changes whole is not kept a thousand times. */
const WHAT_CHARACTERS = 1000;

/** As the history keeps it. */
export function shortened(what: readonly string[]): string[] {
  let left = WHAT_CHARACTERS;
  const kept: string[] = [];
  for (const line of what) {
    if (line.length > left) break;
    left -= line.length;
    kept.push(line);
  }
  if (kept.length === what.length) return kept;
  if (kept.length === 0) return [`${(what[0] as string).slice(0, WHAT_CHARACTERS)}...`, ...more(what.length - 1)];
  return [...kept, ...more(what.length - kept.length)];
}

const more = (n: number): string[] => (n === 0 ? [] : [`and ${n} more`]);

export const emptyIntent = (pool: string): Intent => ({
  pool,
  version: 0,
  managed: false,
  members: [],
  holds: [],
  override: null,
  policy: null,
});

/** Whether a pool has orders beyond what its data planes have by themselves. */
export const hasOrders = (i: Intent): boolean => i.managed || i.holds.length > 0 || i.override !== null || i.policy !== null;

export const holdsOf = (i: Intent, address: string): Hold[] => i.holds.filter((h) => h.address === address);

const isText = (v: unknown): v is string => typeof v === "string";
const isWeight = (v: unknown): v is number => typeof v === "number" && v >= 0 && Number.isFinite(v);
const isCount = (v: unknown): v is number => Number.isSafeInteger(v) && (v as number) >= 0;
const isObject = (v: unknown): v is Record<string, unknown> => typeof v === "object" && v !== null;
const isStamp = (v: Record<string, unknown>): boolean => isText(v.by) && isText(v.reason) && isCount(v.at);
const isWanted = (v: unknown): boolean => isObject(v) && isText(v.address) && isWeight(v.weight);
const isHold = (v: unknown): boolean =>
  isObject(v) &&
  isStamp(v) &&
  isText(v.address) &&
  (v.kind === "drain" || v.kind === "maintenance") &&
  (v.deadline === null || isCount(v.deadline)) &&
  (v.close === undefined || typeof v.close === "boolean");
const isOverride = (v: unknown): boolean =>
  isObject(v) && isStamp(v) && isText(v.mode) && Array.isArray(v.entries) && v.entries.every(isWanted);
const isPolicy = (v: unknown): boolean => isObject(v) && isStamp(v) && isText(v.name);

/** What a store holds is taken only if it is whole. */
export function asIntent(value: unknown): Intent | null {
  const ok =
    isObject(value) &&
    isText(value.pool) &&
    isCount(value.version) &&
    typeof value.managed === "boolean" &&
    Array.isArray(value.members) &&
    value.members.every(isWanted) &&
    Array.isArray(value.holds) &&
    value.holds.every(isHold) &&
    (value.override === null || isOverride(value.override)) &&
    (value.policy === null || isPolicy(value.policy));
  if (!ok) return null;
  const intent = value as unknown as Intent;
  // Drains that were ordered before there was a choice run on.
  return { ...intent, holds: intent.holds.map((h) => ({ ...h, close: h.close ?? false })) };
}

export function asChange(value: unknown): Change | null {
  const ok =
    isObject(value) &&
    isStamp(value) &&
    isCount(value.version) &&
    isText(value.id) &&
    Array.isArray(value.what) &&
    value.what.every(isText);
  return ok ? (value as unknown as Change) : null;
}
