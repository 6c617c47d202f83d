// SPDX-License-Identifier: Apache-2.0
// TCP connects of checks, by one native thread for the whole process (native/addon/src/connector.cc).
import { closeSync } from "node:fs";
import { getSystemErrorName } from "node:util";
import { addon, type NativeConnector, NativeError, native } from "./addon.js";

const NUMBERS = 4;
const MET_ITSELF = -1;
const MOST_IDS = 2 ** 32;

export interface Connected {
  /** -1: it was not kept. */
  fd: number;
  /** What the handshake took. */
  ms: number;
}

export interface Connect {
  /** An IP address. */
  address: string;
  port: number;
  /** The descriptor is the caller's; else the connection is reset as soon as it is open. */
  keep: boolean;
  /** 0 = any. */
  localPort?: number;
}

interface Waiting {
  resolve(c: Connected): void;
  reject(e: Error): void;
  to: Connect;
  /** Cancels it, when `signal` aborts. */
  signal: AbortSignal;
  abort(): void;
}

const waiting = new Map<number, Waiting>();
let connector: NativeConnector | undefined;
let nextId = 0;

function settle(results: Float64Array): void {
  for (let i = 0; i < results.length; i += NUMBERS) {
    const id = results[i] as number;
    const error = results[i + 1] as number;
    const fd = results[i + 2] as number;
    const us = results[i + 3] as number;
    const w = waiting.get(id);
    waiting.delete(id);
    w?.signal.removeEventListener("abort", w.abort);
    if (!w) {
      if (fd >= 0) closeSync(fd); // cancelled in the moment in which it was open
    } else if (error === 0) w.resolve({ fd, ms: us / 1000 });
    else w.reject(failure(error, w.to));
  }
}

function failure(error: number, { address, port }: Connect): NativeError {
  if (error === MET_ITSELF) return new NativeError("ESELF", "connected to itself: no listener");
  const code = getSystemErrorName(-error);
  return new NativeError(code, `connect ${code} ${address} port ${port}`);
}

/** Rejects with a NativeError whose code is the system's ("ECONNREFUSED"), or ESELF; ECANCELED when `signal` aborts. */
export function connect(to: Connect, signal: AbortSignal): Promise<Connected> {
  return new Promise((resolve, reject) => {
    connector ??= native(() => new addon.Connector(settle));
    const id = nextId;
    nextId = (nextId + 1) % MOST_IDS;
    connector.connect(id, to.address, to.port, to.keep, to.localPort ?? 0);
    const abort = (): void => {
      if (!waiting.delete(id)) return;
      connector?.cancel(id);
      reject(new NativeError("ECANCELED", "aborted"));
    };
    waiting.set(id, { resolve, reject, to, signal, abort });
    signal.addEventListener("abort", abort, { once: true });
  });
}
