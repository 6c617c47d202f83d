// SPDX-License-Identifier: Apache-2.0
// One check of one address. Never rejects: what goes wrong is the result.
import { execFile } from "node:child_process";
import { get } from "node:http";
import { connect } from "node:net";
import { formatHostPort, parseHostPort } from "../common/config/address.js";
import type { CheckResult } from "./verdict.js";

export type ProbeKind = "tcp" | "http" | "ping";

export interface Probe {
  kind: ProbeKind;
  address: string;
  timeoutMs: number;
  /** http only. */
  path: string;
}

export function probe(p: Probe, now: () => number): Promise<CheckResult> {
  const hp = parseHostPort(p.address);
  if (hp === null) return Promise.resolve({ ok: false, reason: `${p.kind}: ${p.address} is no address`, rttMs: 0 });
  const start = now();
  const done = (ok: boolean, what: string): CheckResult => ({ ok, reason: `${p.kind}: ${what}`, rttMs: ok ? now() - start : 0 });
  switch (p.kind) {
    case "tcp":
      return tcp(hp.host, hp.port, p.timeoutMs, done);
    case "http":
      return http(hp.host, hp.port, p.path, p.timeoutMs, done);
    case "ping":
      return ping(hp.host, p.timeoutMs, done);
  }
}

type Done = (ok: boolean, what: string) => CheckResult;

const LOCAL = new Set(["EADDRNOTAVAIL", "EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"]);

const reasons: Record<string, string> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset",
  EHOSTUNREACH: "host unreachable",
  ENETUNREACH: "network unreachable",
  ETIMEDOUT: "timed out",
  EADDRNOTAVAIL: "no local address or port left",
  EMFILE: "no file descriptors left",
};

function failure(e: NodeJS.ErrnoException, done: Done): CheckResult {
  const result = done(false, reasons[e.code ?? ""] ?? e.message);
  return LOCAL.has(e.code ?? "") ? { ...result, local: true } : result;
}

function tcp(host: string, port: number, timeoutMs: number, done: Done): Promise<CheckResult> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    // Reset rather than closed, so that a check leaves no socket in TIME_WAIT on either side.
    const end = (r: CheckResult): void => {
      clearTimeout(timer);
      socket.resetAndDestroy();
      resolve(r);
    };
    const timer = setTimeout(() => end(done(false, `no answer in ${timeoutMs} ms`)), timeoutMs);
    socket.on("connect", () => end(done(true, "connected")));
    socket.on("error", (e) => end(failure(e, done)));
  });
}

function http(host: string, port: number, path: string, timeoutMs: number, done: Done): Promise<CheckResult> {
  return new Promise((resolve) => {
    const request = get({
      host,
      port,
      path,
      agent: false,
      headers: { host: formatHostPort(host, port), "user-agent": "marllb-health" },
    });
    const end = (r: CheckResult): void => {
      clearTimeout(timer);
      request.destroy();
      resolve(r);
    };
    const timer = setTimeout(() => end(done(false, `no answer in ${timeoutMs} ms`)), timeoutMs);
    request.on("response", (response) => {
      const code = response.statusCode ?? 0;
      end(done(code >= 200 && code < 400, `status ${code}`));
    });
    request.on("error", (e) => end(failure(e, done)));
  });
}

/** By the system's ping, which has the right that raw sockets need. */
function ping(host: string, timeoutMs: number, done: Done): Promise<CheckResult> {
  return new Promise((resolve) => {
    const seconds = String(Math.max(1, Math.ceil(timeoutMs / 1000)));
    execFile("ping", ["-n", "-q", "-c", "1", "-W", seconds, host], { timeout: timeoutMs + 100 }, (e) => {
      const { code } = (e ?? {}) as NodeJS.ErrnoException;
      if (e === null) resolve(done(true, "answered"));
      // ping's own verdict is a number; a word is why it could not be started.
      else if (typeof code !== "string") resolve(done(false, "no answer"));
      else resolve({ ...done(false, code === "ENOENT" ? "the program ping is not installed" : e.message), local: true });
    });
  });
}
