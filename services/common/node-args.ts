// SPDX-License-Identifier: Apache-2.0
// How Node is started for a service. deploy/ says the same (a test compares).

/**
 * Collections by the thread that needs them: with V8's helper threads it waits until the scheduler has run those, 4 to 40 ms on two busy
 * cores (decisions for 64 servers, 99th percentile: 4 ms, then .2), and wakes them for what is done in less.
 *
 * A young generation of 1 MB instead of 16: frames are large buffers outside of V8's heap whose owners are tiny objects, so collections
 * of the young generation, which free them, came so seldom that V8 ran full ones for their sake: 4 ms in the median, 12 at most, each
 * in the way of a tick. Now a small one takes .4 ms several times a second. (64 servers, 20 ms tick: 99.3 % of the weights in effect
 * before the next frame, then 100 %.)
 */
export const NODE_ARGS: readonly string[] = ["--max-semi-space-size=1", "--single-threaded-gc"];
