// SPDX-License-Identifier: Apache-2.0
// The context file: which load balancers and which services a command is for, from any host, as kubectl has it.
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parse, stringify } from "yaml";
import * as z from "zod";
import { parseHostPort } from "../common/config/address.js";
import { nearest } from "../common/config/nearest.js";
import { LaunchError } from "./up/error.js";

/** HOST:PORT, or one of gRPC's own forms (dns:///NAME:PORT, ipv4:A:P,B:P, unix:PATH). */
export const isTarget = (text: string): boolean => /^(dns|ipv4|ipv6|unix):\S+$/.test(text) || parseHostPort(text) !== null;
const addresses = z.array(z.string().refine(isTarget, "expected HOST:PORT")).max(1024);
const context = z.strictObject({
  agents: addresses.min(1, "expected the agent of at least one load balancer"),
  inference: addresses.default([]),
  health: addresses.default([]),
  failover: addresses.default([]),
  tls: z.strictObject({ cert: z.string().min(1), key: z.string().min(1), ca: z.string().min(1).optional() }).optional(),
});
const shape = z.strictObject({ current: z.string().optional(), contexts: z.record(z.string().min(1), context).default({}) });

export type Context = z.output<typeof context>;
export type Contexts = z.output<typeof shape>;

/** Without the file: no context. */
export function readContexts(file: string): Contexts {
  if (!existsSync(file)) return { contexts: {} };
  let plain: unknown;
  try {
    plain = parse(readFileSync(file, "utf8"), { prettyErrors: false }) ?? {};
  } catch (e) {
    throw new LaunchError(`${file}: ${(e as Error).message}`, 2);
  }
  const read = shape.safeParse(plain);
  if (read.success) return read.data;
  throw new LaunchError(read.error.issues.map((i) => `${file}: ${i.path.join(".") || "the file"}: ${i.message}`).join("\n"), 2);
}

/** The file is whole at every moment: others read it. */
export function writeContexts(file: string, contexts: Contexts): void {
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  const next = `${file}.${process.pid}`;
  writeFileSync(next, stringify(contexts), { mode: 0o600 });
  renameSync(next, file);
}

/** The one named, else the current one; undefined where none is named and none is current. TLS paths are relative to the file. */
export function chooseContext(file: string, wanted: string | undefined): Context | undefined {
  const { current, contexts } = readContexts(file);
  const name = wanted ?? current;
  if (name === undefined) return undefined;
  const found = contexts[name];
  if (!found) {
    const names = Object.keys(contexts);
    const near = nearest(name, names);
    const there = names.length > 0 ? `there are ${names.join(", ")}` : "there are none; marllbctl context set makes one";
    throw new LaunchError(`${file}: no context ${name}${near ? `; did you mean ${near}?` : `; ${there}`}`, 2);
  }
  if (!found.tls) return found;
  const near = (f: string): string => path.resolve(path.dirname(file), f);
  const { cert, key, ca } = found.tls;
  return { ...found, tls: { cert: near(cert), key: near(key), ...(ca !== undefined && { ca: near(ca) }) } };
}
