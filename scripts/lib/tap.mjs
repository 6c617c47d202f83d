// SPDX-License-Identifier: Apache-2.0
// Reads TAP line by line and adds it up. What stands between a failed line and the next result belongs to the failure; what stands
// before a result (as our C tests print their failed checks) does too.

/** A tally: {passed, failed, skipped, failures: [{name, detail}], skips: [{name, why}]}. */
export function tally() {
  return { passed: 0, failed: 0, skipped: 0, failures: [], skips: [] };
}

export function merge(into, from) {
  for (const k of ["passed", "failed", "skipped"]) into[k] += from[k];
  into.failures.push(...from.failures);
  into.skips.push(...from.skips);
  return into;
}

/** Counts TAP text. `exitCode` non-zero without a failed line, or fewer results than planned, is a failure of its own. */
export function parseTap(name, text, exitCode) {
  const t = tally();
  let planned;
  let before = [];
  let open;
  for (const line of text.split("\n")) {
    const plan = /^1\.\.(\d+)/.exec(line);
    const result = /^(not )?ok\b\s*\d*\s*(?:- )?(.*)$/.exec(line);
    if (plan) planned = Number(plan[1]);
    else if (result) {
      const [, not, rest] = result;
      const skip = /^(.*?)\s*# SKIP\b\s*(.*)$/i.exec(rest);
      open = undefined;
      if (skip) {
        t.skipped++;
        // ava has no reason to give: ours stands in brackets at the title's end.
        const [, title, why] = skip[2] ? [null, skip[1], skip[2]] : (/^(.*) \(([^()]*)\)$/.exec(skip[1]) ?? [null, skip[1], ""]);
        t.skips.push({ name: `${name}: ${title}`, why });
      } else if (not) {
        t.failed++;
        open = { name: `${name}: ${rest}`, detail: before.filter((l) => l.startsWith("#")) };
        t.failures.push(open);
      } else t.passed++;
      before = [];
    } else {
      before.push(line);
      open?.detail.push(line);
    }
  }
  const seen = t.passed + t.failed + t.skipped;
  const short = planned !== undefined && seen < planned;
  if (short || (exitCode !== 0 && t.failed === 0) || (seen === 0 && planned !== 0)) {
    t.failed++;
    const said = `exit code ${exitCode}, ${seen} of ${planned ?? "an unknown number of"} results`;
    t.failures.push({ name: `${name}: did not finish`, detail: [said, ...text.split("\n").slice(-40)] });
  }
  return t;
}
