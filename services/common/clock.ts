// SPDX-License-Identifier: Apache-2.0
import { wallOffsetUs } from "./native/clock.js";

/** Time as a service sees it; tests pass one of their own. */
export interface Clock {
  /** Monotonic milliseconds, with a fraction. */
  now(): number;
  /** Milliseconds since 1970. */
  unixMs(): number;
  /** CLOCK_MONOTONIC in whole microseconds: the clock of the data plane's frames, and of all spans on a host. */
  monoUs(): number;
  /** What the time since 1970 is ahead of monoUs, whole microseconds. It changes when somebody sets the host's clock. */
  wallOffsetUs(): number;
}

/** The system's. Only `main` functions and the testbed hand it on. */
export const systemClock: Clock = {
  now: () => performance.now(),
  unixMs: () => Date.now(),
  monoUs() {
    const [s, ns] = process.hrtime();
    return s * 1e6 + Math.floor(ns / 1000);
  },
  wallOffsetUs,
};
