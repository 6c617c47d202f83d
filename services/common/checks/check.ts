// SPDX-License-Identifier: Apache-2.0
// What a kind of health check is. A kind is one file beside this one and one line in index.ts.
import type { z } from "zod";
import type { HostPort } from "../config/address.js";

/** Keys of `health` in the configuration. */
export type Shape = Readonly<Record<string, z.ZodType>>;

/** What a check saw of a good server ("connected"), and what that took where the check knows it better than a clock around it. */
export type Saw = string | { saw: string; ms: number };

export interface CheckOf<S extends Shape> {
  kind: string;
  /** What a good check means; for command lines and error messages. */
  help: string;
  /** The keys of `health` that it reads. Kinds may share a key if they share its declaration. */
  schema: S;
  /**
   * One check. Resolves with what it saw of a good server. Rejects with CheckFailed, or with the error of a system call. When
   * `signal` aborts, it closes what it opened; how it then ends is not looked at.
   */
  run(target: HostPort, options: z.output<z.ZodObject<S>>, signal: AbortSignal): Promise<Saw>;
}

/** A check whose options are known only to itself. `run` null: servers are never checked. */
export interface Check {
  kind: string;
  help: string;
  schema: Shape;
  run: ((target: HostPort, options: unknown, signal: AbortSignal) => Promise<Saw>) | null;
}

export function defineCheck<S extends Shape>(check: CheckOf<S>): Check {
  return { ...check, run: (target, options, signal) => check.run(target, options as z.output<z.ZodObject<S>>, signal) };
}

/** The server failed the check, or (`local`) the check could not be made here, which says nothing of the server. */
export class CheckFailed extends Error {
  readonly code = "CHECK_FAILED";
  constructor(
    message: string,
    readonly local = false,
  ) {
    super(message);
    this.name = "CheckFailed";
  }
}
