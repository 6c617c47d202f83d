// SPDX-License-Identifier: Apache-2.0
// A check as the health service runs it, with the defaults of the keys that a test does not name.
import * as z from "zod";
import type { Check } from "../services/common/checks/check.js";
import type { HostPort } from "../services/common/config/address.js";

/** What it saw of a good server; rejects with what failed. When `signal` aborts, the check is over, and ends as its kind does then. */
export function runCheck(
  check: Check,
  target: HostPort,
  options: Record<string, unknown> = {},
  signal: AbortSignal = new AbortController().signal,
): Promise<string> {
  const { start } = check;
  if (start === null) throw new Error(`${check.kind} checks nothing`);
  const given = z.object(check.schema).parse(options);
  return new Promise((resolve, reject) => {
    const close = start(target, given, (error, saw) => (error ? reject(error) : resolve(saw)));
    signal.addEventListener("abort", close, { once: true });
  });
}
