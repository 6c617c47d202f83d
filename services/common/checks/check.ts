// SPDX-License-Identifier: Apache-2.0
// What a kind of health check is. A kind is one file beside this one and one line in index.ts.
import type { z } from "zod";
import type { HostPort } from "../config/address.js";

/** Keys of `health` in the configuration. */
export type Shape = Readonly<Record<string, z.ZodType>>;

/**
 * How a check ended. `error` null: the server is good; `saw` tells by what ("connected"), `ms` what it took where the check knows it better
 * than a clock around it. `error`: CheckFailed, or the error of a system call.
 */
export type CheckEnd = (error: Error | null, saw: string, ms: number | null) => void;

interface CheckName<S extends Shape> {
  kind: string;
  /** What a good check means; for command lines and error messages. */
  help: string;
  /** The keys of `health` that it reads. Kinds may share a key if they share its declaration. */
  schema: S;
}

type Options<S extends Shape> = z.output<z.ZodObject<S>>;

/**
 * Begins one check. `end` is called at most once. Returns what closes all that the check opened; it is called once the check is over,
 * however it ended, and `end` is not looked at any more then.
 */
export type StartCheck<O> = (target: HostPort, options: O, end: CheckEnd) => () => void;

/**
 * The same as a promise of what it saw, for kinds whose means are Node's. When `signal` aborts, it closes what it opened. A promise and
 * a signal cost more than a TCP connect.
 */
export type RunCheck<O> = (target: HostPort, options: O, signal: AbortSignal) => Promise<string>;

/** A check whose options are known only to itself. `start` null: servers are never checked. */
export interface Check extends CheckName<Shape> {
  start: StartCheck<unknown> | null;
}

export function defineCheck<S extends Shape>(
  check: CheckName<S> & ({ start: StartCheck<Options<S>> } | { run: RunCheck<Options<S>> }),
): Check {
  const { kind, help, schema } = check;
  const start: StartCheck<Options<S>> = "start" in check ? check.start : (target, o, end) => begun(check.run, target, o, end);
  return { kind, help, schema, start: (target, options, end) => start(target, options as Options<S>, end) };
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

/** Why a check's signal aborts. One object: an error of its own for each check costs as much as the check. */
const OVER = new CheckFailed("the check is over");

export function begun<O>(run: RunCheck<O>, target: HostPort, options: O, end: CheckEnd): () => void {
  const over = new AbortController();
  new Promise<string>((resolve) => resolve(run(target, options, over.signal))).then(
    (saw) => end(null, saw, null),
    (e: Error) => end(e, "", null),
  );
  return () => over.abort(OVER);
}
