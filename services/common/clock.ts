// SPDX-License-Identifier: Apache-2.0

/** Time as a service sees it; tests pass one of their own. */
export interface Clock {
  /** Monotonic milliseconds, with a fraction. */
  now(): number;
  /** Milliseconds since 1970. */
  unixMs(): number;
}
