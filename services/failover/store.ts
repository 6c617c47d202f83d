// SPDX-License-Identifier: Apache-2.0
// Where intents are kept. Which store is the configuration's choice (stores.ts).
import type { Change, Intent } from "./intent.js";

export interface Stored {
  intent: Intent;
  /** The store's own mark of this record; what replaces it must name it. */
  mark: string;
}

export interface Commit {
  intent: Intent;
  /** Of the record that was read; null = there was none. */
  mark: string | null;
  /** What led from that record to this one. */
  changes: readonly Change[];
}

/** What a store tells by itself. */
export interface StoreListener {
  /** All that is stored, read at one moment: at the start, and again whenever word of a change may have been missed. */
  listed(all: readonly Stored[]): void;
  put(stored: Stored): void;
  /** Words may be missed from now on; the store is read again. */
  lost(reason: string): void;
  /** It cannot be read: others may order what we do not hear. */
  away(reason: string): void;
}

/** What is told of a write that surely did not take place. */
export class NotTaken extends Error {}

export interface Store {
  /** Begins to tell. Failures are told and tried again, for as long as the store is open. */
  follow(listener: StoreListener): void;
  /** The newest record of all that anybody stored. */
  read(pool: string): Promise<Stored | null>;
  /**
   * Resolves once it is durable, with the new mark; null: the record is no longer the one that was read. Rejects where the store does not
   * answer, and then it may be stored or not, but with NotTaken.
   */
  commit(c: Commit): Promise<string | null>;
  /** Newest first. */
  history(pool: string, limit: number): Promise<Change[]>;
  close(): Promise<void>;
}
