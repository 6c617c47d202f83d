// SPDX-License-Identifier: Apache-2.0
import { request as ask, type IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import * as z from "zod";
import { formatHostPort, type HostPort } from "../config/address.js";
import { CheckFailed, defineCheck } from "./check.js";
import { proxyKeys, type SendProxy } from "./proxy.js";
import { opened } from "./socket.js";

/** More of an answer is not read: what says that a server is well stands at the beginning. */
export const BODY_LIMIT = 65_536;

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

/** "Name: value" in two; null where it is no header. */
export function headerParts(text: string): [name: string, value: string] | null {
  const m = /^([A-Za-z0-9!#$%&'*+.^_`|~-]+):[ \t]*([\x20-\x7e]*)$/.exec(text);
  return m ? [(m[1] as string).toLowerCase(), (m[2] as string).trimEnd()] : null;
}

const header = z
  .string()
  .max(1000)
  .refine((s) => headerParts(s) !== null, { error: 'expected a header, such as "X-Check: marllb"' });

/** Keys that every check by an HTTP request has. */
export const httpKeys = {
  ...proxyKeys,
  path: z
    .string()
    .regex(/^\/[\x21-\x7e]*$/, { error: "expected a path that begins with /, without spaces" })
    .default("/"),
  status: z.coerce // 200 is a number in YAML
    .string()
    .refine((s) => statusRanges(s) !== null, { error: 'expected statuses such as "200-399" or "200,204"' })
    .default("200-399"),
  http_method: z.enum(["GET", "HEAD"]).default("GET"),
  http_host: z
    .string()
    .regex(/^[\x21-\x7e]{0,255}$/, { error: "expected a host, such as www.example.org" })
    .default(""), // empty: the server's address
  http_headers: z.array(header).max(16).default([]),
  expect_header: z.union([z.literal(""), header]).default(""), // the answer has it; an empty value: any
  expect_body: z.string().max(1000).default(""), // the answer's first 64 KiB contain it
};

export interface HttpOptions {
  path: string;
  status: string;
  http_method: "GET" | "HEAD";
  http_host: string;
  http_headers: readonly string[];
  expect_header: string;
  expect_body: string;
  send_proxy: SendProxy;
}

/** What is wrong with an answer's head; null: nothing. */
function wrongHead(response: IncomingMessage, options: HttpOptions): string | null {
  const code = response.statusCode ?? 0;
  if (!statusRanges(options.status)?.some(([first, last]) => first <= code && code <= last)) return `status ${code}`;
  if (options.expect_header === "") return null;
  const [name, value] = headerParts(options.expect_header) as [string, string];
  const found = response.headers[name];
  if (found === undefined) return `no header ${name}`;
  return value === "" || [found].flat().includes(value) ? null : `header ${name} is another`;
}

/** A request over a connection of its own. The body is read only where something is expected of it. */
export async function requestStatus(
  socket: Socket,
  target: HostPort,
  options: HttpOptions,
  signal: AbortSignal,
  host = options.http_host || formatHostPort(target.host, target.port),
): Promise<string> {
  const wanted = Object.fromEntries(options.http_headers.map((h) => headerParts(h) as [string, string]));
  return new Promise((resolve, reject) => {
    const request = ask({
      method: options.http_method,
      path: options.path,
      createConnection: () => socket,
      signal,
      headers: { "user-agent": "marllb-health", ...wanted, host, connection: "close" },
    });
    const end = (wrong: string | null, saw: string): void => {
      request.destroy();
      if (wrong === null) resolve(saw);
      else reject(new CheckFailed(wrong));
    };
    request.on("response", (response) => {
      const wrong = wrongHead(response, options);
      const saw = `status ${response.statusCode}`;
      if (wrong !== null || options.expect_body === "") {
        end(wrong, saw);
        return;
      }
      let body = "";
      let bytes = 0;
      const judge = (): void => end(body.includes(options.expect_body) ? null : "the answer does not contain expect_body", saw);
      response.setEncoding("utf8");
      response.on("data", (text: string) => {
        body += text;
        bytes += text.length;
        if (body.includes(options.expect_body) || bytes >= BODY_LIMIT) judge();
      });
      response.on("end", judge);
    });
    request.on("error", reject);
    request.end();
  });
}

export const check = defineCheck({
  kind: "http",
  help: "a request for `path` answers with a status of `status`, and with expect_header and expect_body where these are set",
  schema: httpKeys,
  run: async (target, options, signal) =>
    requestStatus(await opened(target, signal, options.send_proxy), target, options, signal),
});
