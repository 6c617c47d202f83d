// SPDX-License-Identifier: Apache-2.0
// Where failover keeps its pools over restarts. Which store is the configuration's choice.
import type { OverrideState, PoolState } from "./pool.js";

export interface Store {
  load(): Promise<PoolState[]>;
  /** Resolves to the stored state: another replica's where that is newer. */
  save(pool: PoolState): Promise<PoolState>;
  /** Resolves once the pool is no longer stored. */
  remove(name: string): Promise<void>;
  /** Called with what another replica stored, and the name of what it removed. */
  onChange(changed: (pool: PoolState) => void, removed: (name: string) => void): void;
  close(): Promise<void>;
}

/** Accepts what an earlier version or a hand may have written only if it is whole. */
export function asPoolState(value: unknown): PoolState | null {
  const v = value as Partial<PoolState> | null;
  const ok =
    typeof v === "object" &&
    v !== null &&
    typeof v.name === "string" &&
    Number.isInteger(v.vipId) &&
    typeof v.managed === "boolean" &&
    Number.isInteger(v.revision) &&
    Number.isInteger(v.term) &&
    Array.isArray(v.members) &&
    v.members.every((m) => typeof m?.address === "string" && m.weight > 0 && typeof m.drain === "boolean") &&
    Array.isArray(v.down) &&
    v.down.every((a) => typeof a === "string") &&
    (v.holders === undefined || (Array.isArray(v.holders) && v.holders.every((h) => typeof h === "string"))) &&
    (v.override === undefined || v.override === null || isOverride(v.override));
  return ok ? { ...(v as PoolState), override: v.override ?? null, holders: v.holders ?? [] } : null;
}

function isOverride(o: Partial<OverrideState>): boolean {
  return (
    Array.isArray(o.entries) &&
    o.entries.every((e) => typeof e?.address === "string" && e.weight >= 0) &&
    typeof o.mode === "string" &&
    typeof o.reason === "string"
  );
}

export function memoryStore(): Store {
  return { load: async () => [], save: async (p) => p, remove: async () => {}, onChange() {}, close: async () => {} };
}
