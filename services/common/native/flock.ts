// SPDX-License-Identifier: Apache-2.0
import { constants } from "node:os";
import { getSystemErrorName } from "node:util";
import { addon, NativeError } from "./addon.js";

/**
 * Locks an open file for as long as its descriptor is open, against every process of this kernel, in whatever container. False: another
 * one holds it. Throws where the file system knows no locks.
 */
export function lockFile(fd: number): boolean {
  const result = addon.lockFile(fd);
  if (result === 0) return true;
  if (-result === constants.errno.EWOULDBLOCK) return false;
  const code = getSystemErrorName(result);
  throw new NativeError(code, `flock: ${code}`);
}
