// SPDX-License-Identifier: Apache-2.0
// A check as the health service runs it, with the defaults of the keys that a test does not name.
import { z } from "zod";
import type { Check } from "../services/common/checks/check.js";
import type { HostPort } from "../services/common/config/address.js";

export async function runCheck(
  check: Check,
  target: HostPort,
  options: Record<string, unknown> = {},
  signal: AbortSignal = new AbortController().signal,
): Promise<string> {
  if (check.run === null) throw new Error(`${check.kind} checks nothing`);
  const saw = await check.run(target, z.object(check.schema).parse(options), signal);
  return typeof saw === "string" ? saw : saw.saw;
}
