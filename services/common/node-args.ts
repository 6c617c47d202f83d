// SPDX-License-Identifier: Apache-2.0
// How Node is started for a service. deploy/ says the same (a test compares).

/**
 * A young generation of 1 MB instead of 16: frames are large buffers outside of V8's heap whose owners are tiny objects, so collections
 * of the young generation, which free them, came so seldom that V8 ran full ones for their sake: 4 ms in the median, 12 at most, each
 * in the way of a tick. Now a small one takes .4 ms several times a second. (64 servers, 20 ms tick: 99.3 % of the weights in effect
 * before the next frame, then 100 %.)
 */
export const NODE_ARGS: readonly string[] = ["--max-semi-space-size=1"];
