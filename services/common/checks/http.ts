// SPDX-License-Identifier: Apache-2.0
import { get } from "node:http";
import type { Socket } from "node:net";
import { z } from "zod";
import { formatHostPort, type HostPort } from "../config/address.js";
import { CheckFailed, defineCheck } from "./check.js";
import { proxyKeys, type SendProxy } from "./proxy.js";
import { opened } from "./socket.js";

/** "200-399", "204" or "200-299,401", as pairs of first and last. Null where it is none of these. */
export function statusRanges(text: string): [number, number][] | null {
  const ranges = text.split(",").map((part): [number, number] | null => {
    const m = /^([1-5]\d\d)(?:-([1-5]\d\d))?$/.exec(part.trim());
    const first = Number(m?.[1]);
    const last = Number(m?.[2] ?? m?.[1]);
    return m && first <= last ? [first, last] : null;
  });
  return ranges.every((r) => r !== null) ? ranges : null;
}

/** Keys that every check by an HTTP request has. */
export const httpKeys = {
  ...proxyKeys,
  path: z
    .string()
    .regex(/^\/[\x21-\x7e]*$/, { error: "expected a path that begins with /, without spaces" })
    .default("/"),
  status: z
    .string()
    .refine((s) => statusRanges(s) !== null, { error: 'expected statuses such as "200-399" or "200,204"' })
    .default("200-399"),
};

export interface HttpOptions {
  path: string;
  status: string;
  send_proxy: SendProxy;
}

/** A request over a connection of its own. The status decides; the body is not read. */
export async function requestStatus(
  socket: Socket,
  target: HostPort,
  options: HttpOptions,
  signal: AbortSignal,
  hostHeader = formatHostPort(target.host, target.port),
): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = get({
      path: options.path,
      createConnection: () => socket,
      signal,
      headers: { host: hostHeader, "user-agent": "marllb-health", connection: "close" },
    });
    request.on("response", (response) => {
      const code = response.statusCode ?? 0;
      const good = statusRanges(options.status)?.some(([first, last]) => first <= code && code <= last);
      request.destroy();
      if (good) resolve(`status ${code}`);
      else reject(new CheckFailed(`status ${code}`));
    });
    request.on("error", reject);
  });
}

export const check = defineCheck({
  kind: "http",
  help: "GET of `path` answers with a status of `status`",
  schema: httpKeys,
  run: async (target, options, signal) =>
    requestStatus(await opened(target, signal, options.send_proxy), target, options, signal),
});
