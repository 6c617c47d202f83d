// SPDX-License-Identifier: Apache-2.0
// Servers in a file, in the form of Prometheus' file_sd, JSON or YAML:
//   [{ "targets": ["10.0.0.1:80"], "labels": { "weight": "2", "priority": "1" } }]
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { parse } from "yaml";
import * as z from "zod";
import { isIpPort } from "../../common/config/address.js";
import type { Found } from "./found.js";

const target = z.string().refine(isIpPort, { error: 'expected IP:PORT, such as "10.0.0.1:80"' });
const group = z.object({
  targets: z.array(target),
  // Labels are text in file_sd. Those that are not ours are somebody's.
  labels: z
    .object({
      weight: z.coerce.number().min(1e-6).max(1e6).default(1),
      priority: z.coerce.number().int().min(0).max(65_535).default(0),
    })
    .prefault({}),
});
const groups = z.array(group, { error: 'expected a list, such as [{"targets": ["10.0.0.1:80"]}]' });

/** Throws with what is wrong, and where. */
export function readTargets(text: string): Found[] {
  const parsed = groups.safeParse(parse(text, { prettyErrors: false }));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const where = issue?.path.map((p) => (typeof p === "number" ? `[${p}]` : `.${String(p)}`)).join("") ?? "";
    throw new Error(`${where === "" ? "" : `${where}: `}${issue?.message}`);
  }
  return parsed.data.flatMap((g) => g.targets.map((address) => ({ address, ...g.labels })));
}

const LOOK_MS = 1000;
/** Of thousands of servers; what is larger is another file, and reading it would stop everything else here. */
const LARGEST = 4 << 20;

/**
 * Reads the file now and whenever it is another one. It is looked at by its name, once a second: so a rename onto it, a link that is turned
 * elsewhere (Kubernetes' volumes) and a write on another machine count too, of which inotify does not tell.
 */
export function watchTargets(
  file: string,
  found: (list: Found[]) => void,
  failed: (reason: string) => void,
  lookMs = LOOK_MS,
): () => void {
  let timer: NodeJS.Timeout | null = null;
  let stopped = false;
  let last = "";
  /** The file's text; null: that of the last look. */
  const changed = async (): Promise<string | null> => {
    // A pipe of that name would hold the opening until somebody writes.
    const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      // Of the file that is read, before it is read: a write meanwhile makes it another one at the next look.
      const stat = await handle.stat({ bigint: true });
      const { dev, ino, size, mtimeNs } = stat;
      if (!stat.isFile())
        throw new Error(`${file}: expected a file, found ${stat.isDirectory() ? "a folder" : "a device or pipe"}`);
      if (size > LARGEST) throw new Error(`${file}: expected at most ${LARGEST} bytes, found ${size}`);
      const mark = [dev, ino, size, mtimeNs].join();
      if (mark === last) return null;
      const text = await handle.readFile("utf8");
      last = mark;
      return text;
    } finally {
      await handle.close();
    }
  };
  const look = async (): Promise<void> => {
    try {
      const text = await changed().catch((e: Error) => {
        // Once it can be read again it is news, though it is the same: rights that came back, descriptors that were short.
        last = "";
        throw e;
      });
      if (text !== null && !stopped) found(readTargets(text));
    } catch (e) {
      if (!stopped) failed((e as Error).message);
    }
    if (!stopped) timer = setTimeout(() => void look(), lookMs);
  };
  void look();
  return () => {
    stopped = true;
    if (timer) clearTimeout(timer);
  };
}
