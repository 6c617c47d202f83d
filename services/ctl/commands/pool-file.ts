// SPDX-License-Identifier: Apache-2.0
// A wanted server list from a JSON file, checked whole: what is overlooked here takes servers out of service.
import { readFileSync } from "node:fs";
import { isIpPort } from "../../common/config/address.js";
import { nearest } from "../../common/config/nearest.js";
import { LaunchError } from "../up/error.js";

export interface PoolServer {
  address: string;
  weight: number;
  drain: boolean;
}

const KEYS = ["address", "weight", "drain"];

/** Throws a LaunchError with every problem: file, place, what was expected. */
export function readPool(file: string): PoolServer[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(file, "utf8"));
  } catch (e) {
    throw new LaunchError(`${file}: ${(e as Error).message}`, 2);
  }
  const { servers, ...rest } = (isMap(parsed) ? parsed : {}) as { servers?: unknown };
  if (!Array.isArray(servers)) throw new LaunchError(`${file}: expected {"servers": [...]}`, 2);
  const problems = [
    ...Object.keys(rest).map((k) => `${k}: unknown key; expected servers alone`),
    ...servers.flatMap((s, i) => problemsOf(s).map((p) => `servers[${i}]${p}`)),
  ];
  if (problems.length > 0) throw new LaunchError(problems.map((p) => `${file}: ${p}`).join("\n"), 2);
  return (servers as Partial<PoolServer>[]).map((s) => ({
    address: s.address as string,
    weight: s.weight ?? 1,
    drain: s.drain ?? false,
  }));
}

const isMap = (v: unknown): v is Record<string, unknown> => typeof v === "object" && v !== null && !Array.isArray(v);

function problemsOf(s: unknown): string[] {
  if (!isMap(s)) return [`: expected {"address": "IP:PORT"}, found ${JSON.stringify(s)}`];
  const problems = Object.keys(s)
    .filter((k) => !KEYS.includes(k))
    .map((k) => {
      const near = nearest(k, KEYS);
      return `.${k}: unknown key; ${near ? `did you mean ${near}?` : `expected one of ${KEYS.join(", ")}`}`;
    });
  const { address, weight, drain } = s;
  if (typeof address !== "string" || !isIpPort(address)) {
    problems.push(`.address: expected "IP:PORT", such as "10.0.0.1:80" or "[2001:db8::1]:80", found ${JSON.stringify(address)}`);
  }
  if (weight !== undefined && !(typeof weight === "number" && weight >= 0)) {
    problems.push(`.weight: expected a number from 0 (no new flows), found ${JSON.stringify(weight)}`);
  }
  if (drain !== undefined && typeof drain !== "boolean")
    problems.push(`.drain: expected true or false, found ${JSON.stringify(drain)}`);
  return problems;
}
