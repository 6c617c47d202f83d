// SPDX-License-Identifier: Apache-2.0
// How Node is started for a service. deploy/ says the same (a test compares).

/**
 * --single-threaded-gc: V8's helper threads must be scheduled before a collection ends, 4 to 40 ms on two busy cores. Decisions for 64
 * servers, 99th percentile: 4 ms with helpers, 0.2 ms without.
 *
 * --max-semi-space-size=1 (MB; default 16): frames are large buffers outside V8's heap, owned by tiny objects. A large young generation
 * fills slowly, so V8 freed the buffers by full collections: 4 ms in the median, 12 at most. A small one takes 0.4 ms several times a
 * second. (64 servers, 20 ms tick: 99.3 % of the weights in effect before the next frame, then 100 %.)
 */
export const NODE_ARGS: readonly string[] = ["--max-semi-space-size=1", "--single-threaded-gc"];
