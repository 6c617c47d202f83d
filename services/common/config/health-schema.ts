// SPDX-License-Identifier: Apache-2.0
// The keys that say how servers are checked: `health` for all, `vips[].health` and `vips[].servers[].health` for some. What a level leaves
// out is as the level above says (services/common/checks/plan.ts).
import * as z from "zod";
import { CHECK_KINDS, checkKeys } from "../checks/index.js";

const ms = (min: number, max: number) => z.number().int().min(min).max(max);

/** Of one check. The keys of each kind are typed where the kind is declared. */
const checkShape = {
  kind: z.enum(CHECK_KINDS).default("tcp"),
  port: z.number().int().min(0).max(65_535).default(0), // 0 = the server's own
  ...(checkKeys() as Record<never, never>),
  interval_ms: ms(50, 600_000).default(1000),
  timeout_ms: ms(10, 60_000).default(500),
  jitter: z.number().min(0).max(0.9).default(0.1),
  rise: z.number().int().min(1).max(100).default(2),
  fall: z.number().int().min(1).max(100).default(2),
};

/** Of the verdict on a server. */
const verdictShape = {
  combine: z.enum(["all", "any"]).default("all"),
  initial: z.enum(["down", "up"]).default("down"), // up: flows before the first good check
  damping: z.boolean().default(true),
  passive_failures: z.number().int().min(0).max(1000).default(3), // 0 = off
  passive_hold_ms: ms(100, 600_000).default(10_000),
  passive_max_share: z.number().min(0).max(1).default(0.5),
};

type Unset<T extends z.ZodRawShape> = { [K in keyof T]: z.ZodOptional<T[K] extends z.ZodDefault<infer I> ? I : T[K]> };

/** The same keys, none of which has to be there, and none of which is there by default. */
function unset<T extends z.ZodRawShape>(shape: T): Unset<T> {
  const keys = Object.entries(shape).map(([key, type]) => {
    const t = type as z.ZodType;
    return [key, (t instanceof z.ZodDefault ? (t.unwrap() as z.ZodType) : t).optional()];
  });
  return Object.fromEntries(keys) as Unset<T>;
}

const checks = z.array(z.strictObject(unset(checkShape))).max(8);

/** Of a VIP or a server. */
export const healthLevel = z.strictObject({ ...unset(checkShape), ...unset(verdictShape), checks: checks.min(1).optional() });

export const health = z
  .strictObject({
    ...checkShape,
    ...verdictShape,
    // Of servers of UDP VIPs. What a service answers to is its own matter, so by default only flows judge it.
    udp_kind: z.enum(CHECK_KINDS).default("none"),
    checks: checks.default([]), // of servers of TCP VIPs; empty: one check, of `kind`
    allow_exec: z.boolean().default(false),
  })
  .prefault({});

export type HealthConfig = z.output<typeof health>;
export type HealthLevel = z.output<typeof healthLevel>;
