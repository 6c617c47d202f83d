// SPDX-License-Identifier: Apache-2.0
// Runs a group. A group is { name, options of Vpp.start, setup: [commands], prepare(bed, options), cases } or { name, count, run(options) }. A case is
// { name, cli: [commands], steps: [{ from: "client"|"server", send: [packet] or () => [packet], client: [expected], server: [expected], errors, says, cli, node, worker }] }:
// what comes out on each side must match, in order, the packets described; nothing else may come out. until: { command: what it says
// at last }; all: commands as cli, in one go; captures: the interface on the servers' side, pg1 by default; after: milliseconds to wait before anything else.
import { setTimeout as sleep } from "node:timers/promises";
import { Bed } from "./bed.mjs";
import { match, ok, reorder, test } from "./tap.mjs";

/** Packets sent, each with what must become of it. */
export let checked = 0;

async function until(bed, command, want) {
  for (const end = Date.now() + 60_000; ; await sleep(100)) {
    const out = await bed.v.cli(command);
    if (want.test(out)) return;
    ok(Date.now() < end, `${command} still says:\n${out}\nexpected ${want}`);
  }
}

async function step(bed, s) {
  if (s.after) await sleep(s.after);
  for (const [c, want] of Object.entries(s.until ?? {})) await until(bed, c, want);
  const before = s.errors ? await bed.errors() : {};
  for (const c of s.cli ?? []) await bed.v.config([c]);
  if (s.all) await bed.v.config(s.all);
  if (s.send) {
    const packets = typeof s.send === "function" ? s.send() : s.send;
    checked += packets.length;
    const out = await bed.exchange(s.from ?? "client", packets, { node: s.node, worker: s.worker, servers: s.captures });
    if (bed.v.workers > 1) for (const side of ["server", "client"]) out[side] = reorder(out[side], s[side] ?? []);
    match(out.server, s.server ?? [], "towards servers");
    match(out.client, s.client ?? [], "towards clients");
    s.check?.(out);
  }
  for (const [c, want] of Object.entries(s.says ?? {})) {
    const out = await bed.v.cli(c);
    ok(want.test(out), `${c} says:\n${out}\nexpected ${want}`);
  }
  if (s.errors) {
    const now = await bed.errors();
    for (const [k, n] of Object.entries(s.errors)) match((now[k] ?? 0) - (before[k] ?? 0), n, `counter "${k}"`);
  }
}

export async function runCases(group, options) {
  if (group.run) return group.run(options);
  let bed;
  for (const c of group.cases) {
    await test(`${group.name}: ${c.name}`, async () => {
      if (!bed?.v.alive) {
        bed = await Bed.start({ ...options, plugins: group.plugins ?? [], ...group.options });
        if (group.setup?.length) await bed.v.config(group.setup);
        group.prepare?.(bed, options);
      }
      for (const l of c.cli ?? []) await bed.v.config([l]);
      for (const s of c.steps) await step(bed, s);
      ok(bed.v.alive, `vpp ended: ${bed.v.ended}\n${bed.v.out.slice(-2000)}`);
    });
  }
  await bed?.stop();
}
