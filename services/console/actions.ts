// SPDX-License-Identifier: Apache-2.0
// What an operator does through the page, as failover's RPCs. failover checks it and keeps who and why.
import { status } from "@grpc/grpc-js";
import * as z from "zod";
import type { RequestOf } from "../common/grpc/ask.js";
import { ServiceError } from "../common/grpc/errors.js";
import type { v1 } from "../common/grpc/protos.js";
import type { Model } from "./model.js";
import type { Act, Done } from "./wire.js";

type Failover = InstanceType<typeof v1.Failover>;

/** Who takes orders. */
export interface Orders {
  order<K extends keyof Failover>(method: K, request: RequestOf<Failover[K]>): Promise<unknown>;
  /** Looks at the pool again: something was ordered. */
  refresh(name: string): Promise<void>;
}

const key = z.string().min(1).max(200);
const address = z.string().min(1).max(64);
const reason = z.string().max(300);
const act: z.ZodType<Act> = z.discriminatedUnion("do", [
  z.strictObject({ do: z.enum(["drain", "undrain"]), key, address, reason }),
  z.strictObject({ do: z.literal("policy"), key, policy: z.string().max(64), reason }),
  z.strictObject({
    do: z.literal("pin"),
    key,
    weights: z
      .array(z.strictObject({ address, weight: z.number().min(0).max(1e6) }))
      .min(1)
      .max(1024),
    reason: reason.min(1, "expected why, for everybody to see"),
  }),
  z.strictObject({ do: z.literal("unpin"), key, reason }),
]);

/** Throws a ServiceError that says what was expected. */
export function parseAct(body: unknown): Act {
  const read = act.safeParse(body);
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  throw new ServiceError("INVALID_ARGUMENT", `${issue?.path.join(".") || "the order"}: ${issue?.message}`);
}

export async function carryOut(a: Act, who: string, model: Model, orders: Orders): Promise<Done> {
  const place = model.place(a.key);
  if (!place) throw new ServiceError("NOT_FOUND", `key: no VIP ${a.key} is known`);
  const { name } = place;
  // failover sees the console as the caller: who asked it stands in the reason.
  const order = { vip_id: 0, name, reason: `${a.reason === "" ? "" : `${a.reason}; `}by ${who} at the console` };
  const text = await give(a, order, orders);
  // The answer counts, whatever this look brings.
  await orders.refresh(name).catch(() => {});
  return { text };
}

async function give(a: Act, order: { vip_id: number; name: string; reason: string }, orders: Orders): Promise<string> {
  switch (a.do) {
    case "drain":
      await orders.order("Drain", { ...order, address: a.address });
      return `${a.address} drains: it gets no new flows`;
    case "undrain":
      await orders.order("Undrain", { ...order, address: a.address });
      return `${a.address} gets new flows again`;
    case "policy":
      await orders.order("SetPolicy", { ...order, policy: a.policy });
      return a.policy === "" ? "the configured policy decides again" : `policy ${a.policy} is ordered`;
    case "pin":
      await orders.order("SetOverride", { ...order, weights: a.weights });
      return "the weights are pinned until they are released";
    case "unpin":
      await orders.order("ClearOverride", order);
      return "the policy sets the weights again";
  }
}

/** The HTTP status of what went wrong, and the sentence. */
export function httpError(e: unknown): { code: number; text: string } {
  const it = e as { code?: unknown; details?: string; message?: string };
  const code = typeof it.code === "number" ? status[it.code] : it.code;
  const known: Record<string, number> = { INVALID_ARGUMENT: 400, NOT_FOUND: 404, FAILED_PRECONDITION: 409, ABORTED: 409 };
  const unreachable: Record<string, number> = { UNAVAILABLE: 503, DEADLINE_EXCEEDED: 504, RESOURCE_EXHAUSTED: 429 };
  return { code: known[String(code)] ?? unreachable[String(code)] ?? 500, text: it.details || it.message || String(e) };
}
