// SPDX-License-Identifier: Apache-2.0
// What `marllbctl replay` and `marllbctl explain --at` run: the decision log through the same sessions that decide in service. One JSON
// object on stdout.
import { parseArgs } from "node:util";
import { createLog } from "../common/log.js";
import { decodeFrame, identityOf } from "../common/native/frame.js";
import { observationShape, observe } from "../common/native/observe.js";
import { modelsFolder } from "../common/policies.js";
import { Batcher } from "./batcher.js";
import { Catalog } from "./catalog.js";
import { logFiles, wholeLength } from "./decision-log.js";
import { explain } from "./explain.js";
import { replay, ticksOf } from "./replay.js";
import { type LastStep, Session } from "./session.js";

const { values, positionals } = parseArgs({
  options: {
    models: { type: "string", default: "models" },
    policy: { type: "string" },
    /** Unix ms: explains the tick before it, in place of the whole. */
    at: { type: "string" },
    /** Folder and name of a VIP at a load balancer, in place of files. */
    folder: { type: "string" },
    name: { type: "string" },
  },
  allowPositionals: true,
});

async function main(): Promise<unknown> {
  const { schema, schemas, server, pool } = observationShape;
  const { log } = createLog("replay", "replay", { level: "error", time: "iso" });
  const catalog = await Catalog.open(modelsFolder(values.models), schemas, log);
  if (values.policy !== undefined) catalog.need(values.policy);
  const batcher = new Batcher(0, () => 1);
  const session = (policy: string): Session =>
    new Session(policy, {
      observe,
      catalog,
      batcher,
      observationSchema: schema,
      nowUs: () => performance.now() * 1000,
      onFailure() {},
    });
  let files = values.folder === undefined ? positionals : logFiles(values.folder, values.name);
  if (values.folder !== undefined) {
    // One that was begun and never written, or damaged, does not hide what the others hold.
    const whole = files.filter((f) => (wholeLength(f) ?? 0) > 0);
    for (const f of files) if (!whole.includes(f)) process.stderr.write(`${f}: no decision log, or an empty one: passed over\n`);
    files = whole;
  }
  if (files.length === 0) throw new Error(`no decision log is there${values.folder === undefined ? "" : ` in ${values.folder}`}`);
  const common = { identify: identityOf, session, ...(values.policy !== undefined && { policy: values.policy }) };
  if (values.at === undefined) return await replay(files, common);
  const at = Number(values.at);
  // What lies after it need not be read.
  files = files.filter((f) => firstAt(f) <= at);
  let found: { at: number; step: LastStep } | null = null;
  await replay(files, {
    ...common,
    until: at,
    each: (read, then, other) => {
      found = { at: read.atUnixMs, step: other ?? then };
    },
  });
  if (found === null) throw new Error(`the decision log begins after ${new Date(at).toISOString()}`);
  const { at: then, step } = found as { at: number; step: LastStep };
  const names = { server: server.map((f) => f.name), pool: pool.map((f) => f.name) };
  return { at_unix_ms: then, ...explain(step, decodeFrame(step.frame as { hdr: Buffer; records: Buffer }), names) };
}

function firstAt(file: string): number {
  for (const t of ticksOf(file, identityOf)) return t.atUnixMs;
  return Number.POSITIVE_INFINITY;
}

main().then(
  (found) => process.stdout.write(`${JSON.stringify(found)}\n`),
  (e: unknown) => {
    process.stderr.write(`${(e as Error).message}\n`);
    process.exit(1);
  },
);
