// SPDX-License-Identifier: Apache-2.0
// A configuration that is read again while a service runs: what changed, what takes effect at once, what needs a restart.
import type { Config } from "./config/load.js";

/** Dotted paths of the values in which two configurations differ. A list counts as one value. */
export function changedKeys(a: unknown, b: unknown, path = ""): string[] {
  const isMap = (v: unknown): v is Record<string, unknown> => typeof v === "object" && v !== null && !Array.isArray(v);
  if (!isMap(a) || !isMap(b)) return JSON.stringify(a) === JSON.stringify(b) ? [] : [path];
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].flatMap((key) =>
    changedKeys(a[key], b[key], path === "" ? key : `${path}.${key}`),
  );
}

/** What a service can change while it runs. */
export interface Reloadable {
  /** The keys (or maps of keys) that `apply` puts into effect. */
  keys: readonly string[];
  apply(config: Config): void;
}

export interface Reloaded {
  applied: string[];
  /** Changed, and without effect until the service is started again. */
  pending: string[];
}

export class Reloader {
  /** The last one that was read. What `parts` cannot apply is still as at the start. */
  private latest: Config;

  constructor(
    private readonly started: Config,
    private readonly parts: readonly Reloadable[],
  ) {
    this.latest = started;
  }

  /** Puts into effect what can be. */
  reload(read: Config): Reloaded {
    const covers = (keys: readonly string[], key: string): boolean => keys.some((k) => key === k || key.startsWith(`${k}.`));
    const changed = changedKeys(this.latest, read);
    for (const part of this.parts) if (changed.some((key) => covers(part.keys, key))) part.apply(read);
    this.latest = read;
    const keys = this.parts.flatMap((p) => p.keys);
    return {
      applied: changed.filter((k) => covers(keys, k)),
      pending: changedKeys(this.started, read).filter((k) => !covers(keys, k)),
    };
  }
}
