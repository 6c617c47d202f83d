// SPDX-License-Identifier: Apache-2.0
// The kinds of health check: the one list from which the configuration's keys, help and error messages are made.
import type { Check, Shape } from "./check.js";
import { check as dns } from "./dns.js";
import { check as exec } from "./exec.js";
import { check as grpc } from "./grpc.js";
import { check as http } from "./http.js";
import { check as https } from "./https.js";
import { check as none } from "./none.js";
import { check as ping } from "./ping.js";
import { check as tcp } from "./tcp.js";
import { check as udp } from "./udp.js";

export const CHECKS: readonly Check[] = [tcp, http, https, grpc, udp, dns, ping, exec, none];

export const CHECK_KINDS: readonly string[] = CHECKS.map((c) => c.kind);

/** Kinds that check something. */
export const ACTIVE_KINDS: readonly string[] = CHECKS.filter((c) => c.start !== null).map((c) => c.kind);

export const checkHelp = (kinds: readonly string[] = CHECK_KINDS): string =>
  CHECKS.filter((c) => kinds.includes(c.kind))
    .map((c) => `${c.kind}: ${c.help}`)
    .join("; ");

export function findCheck(kind: string): Check {
  const check = CHECKS.find((c) => c.kind === kind);
  if (!check) throw new Error(`check kind ${kind}: expected one of ${CHECK_KINDS.join(", ")}`);
  return check;
}

/** The keys of all kinds. All may be set, whatever the kind, so that `kind` alone turns checks off or to another kind. */
export function checkKeys(checks: readonly Check[] = CHECKS): Shape {
  const keys: Record<string, Shape[string]> = {};
  for (const { kind, schema } of checks) {
    for (const [key, type] of Object.entries(schema)) {
      if (keys[key] !== undefined && keys[key] !== type) throw new Error(`check ${kind}: another kind declares the key ${key}`);
      keys[key] = type;
    }
  }
  return keys;
}
