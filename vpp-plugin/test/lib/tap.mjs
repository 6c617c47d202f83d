// SPDX-License-Identifier: Apache-2.0
// TAP out, and comparing a packet with a description that names only what matters.
let count = 0;
let failed = 0;

export async function test(name, fn) {
  count++;
  try {
    const skip = await fn();
    console.log(`ok ${count} - ${name}${typeof skip === "string" ? ` # SKIP ${skip}` : ""}`);
  } catch (e) {
    failed++;
    console.log(
      `not ok ${count} - ${name}\n${String(e.stack ?? e)
        .split("\n")
        .slice(0, 12)
        .map((l) => `# ${l}`)
        .join("\n")}`,
    );
  }
}

export function done() {
  console.log(`1..${count}`);
  process.exitCode = failed ? 1 : 0;
}

const show = (x) => JSON.stringify(x, (_, v) => (v?.type === "Buffer" ? Buffer.from(v.data).toString("hex") : v));

/** The path at which got lacks something of want; undefined where it has all. Functions are predicates. */
function differs(got, want, at = "") {
  if (typeof want === "function") return want(got) ? undefined : `${at}: ${show(got)} does not satisfy ${want}`;
  if (Array.isArray(want)) {
    if (!Array.isArray(got) || got.length !== want.length) return `${at}: ${show(got)}, expected ${show(want)}`;
    for (const [i, w] of want.entries()) {
      const d = differs(got[i], w, `${at}[${i}]`);
      if (d) return d;
    }
    return undefined;
  }
  if (want && typeof want === "object") {
    for (const [k, w] of Object.entries(want)) {
      const d = differs(got?.[k], w, `${at}.${k}`);
      if (d) return d;
    }
    return undefined;
  }
  return got === want ? undefined : `${at}: ${show(got)}, expected ${show(want)}`;
}

export function match(got, want, what) {
  const d = differs(got, want);
  if (d) throw new Error(`${what}${d}\n  all of it: ${show(got)?.slice(0, 1500)}`);
}

/** got in the order in which it fits want, as far as it does: packets of different flows may pass each other on different workers. */
export function reorder(got, want) {
  if (!Array.isArray(want)) return got;
  const left = [...got];
  const out = [];
  for (const w of want) {
    const i = left.findIndex((g) => differs(g, w) === undefined);
    if (i >= 0) out.push(...left.splice(i, 1));
  }
  return [...out, ...left];
}

export function ok(value, what) {
  if (!value) throw new Error(what);
}
