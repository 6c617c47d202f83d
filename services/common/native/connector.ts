// SPDX-License-Identifier: Apache-2.0
// TCP connects of checks, by one native thread for the whole process (native/addon/src/connector.cc).
import { closeSync } from "node:fs";
import { getSystemErrorName } from "node:util";
import { addon, type NativeConnector, NativeError, native } from "./addon.js";

const NUMBERS = 4;
const MET_ITSELF = -1;
const MOST_IDS = 2 ** 32;

export interface Connect {
  /** An IP address. */
  address: string;
  port: number;
  /** The descriptor is the caller's; else the connection is reset as soon as it is open. */
  keep: boolean;
  /** 0 = any. */
  localPort?: number;
}

/**
 * `error`: its code is the system's ("ECONNREFUSED"), or ESELF. `fd` is -1 where it was not kept. `ms`: what the handshake took.
 */
export type Connected = (error: NativeError | null, fd: number, ms: number) => void;

interface Waiting {
  done: Connected;
  to: Connect;
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
    if (w) w.done(error === 0 ? null : failure(error, w.to), fd, us / 1000);
    else if (fd >= 0) closeSync(fd); // cancelled in the moment in which it was open
  }
}

function failure(error: number, { address, port }: Connect): NativeError {
  if (error === MET_ITSELF) return new NativeError("ESELF", "connected to itself: no listener");
  const code = getSystemErrorName(-error);
  return new NativeError(code, `connect ${code} ${address} port ${port}`);
}

/** `done` is called once, later. Returns what cancels the connect: `done` is not called then. Once it was called, that does nothing. */
export function connect(to: Connect, done: Connected): () => void {
  try {
    connector ??= native(() => new addon.Connector(settle));
  } catch (e) {
    const later = setImmediate(() => done(e as NativeError, -1, 0));
    return () => clearImmediate(later);
  }
  const id = nextId;
  nextId = (nextId + 1) % MOST_IDS;
  connector.connect(id, to.address, to.port, to.keep, to.localPort ?? 0);
  const w = { done, to };
  waiting.set(id, w);
  return () => {
    if (waiting.get(id) !== w) return;
    waiting.delete(id);
    connector?.cancel(id);
  };
}
