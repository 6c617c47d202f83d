// SPDX-License-Identifier: Apache-2.0
// Waiting for what will happen. Bounds are so wide that only a broken program meets them.

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** The first value that is none of null, undefined and false. */
export async function eventually<T>(
  what: string,
  check: () => Promise<T | null | undefined | false>,
  withinMs = 60_000,
): Promise<T> {
  const end = performance.now() + withinMs;
  for (;;) {
    const v = await check();
    if (v !== null && v !== undefined && v !== false) return v;
    if (performance.now() > end) throw new Error(`did not happen within ${withinMs} ms: ${what}`);
    await sleep(20);
  }
}
