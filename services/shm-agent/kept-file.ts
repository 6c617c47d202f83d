// SPDX-License-Identifier: Apache-2.0
// Where the agent's last word lies over its own restart: beside the region, in memory as that is, so no tick waits for a disk. After a
// restart of the machine there is neither, and failover orders anew.
import { closeSync, constants, fstatSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import * as z from "zod";
import type { Logger } from "../common/log.js";
import type { Kept } from "./kept.js";

const number64 = z.string().regex(/^\d{1,20}$/);
const valued = z.array(z.object({ address: z.string(), value: z.number().min(0) })).max(1024);
const small = z.number().int().min(0);
const schema = z.object({
  version: z.literal(2),
  vips: z
    .array(
      z.object({
        name: z.string(),
        dpEpoch: number64.transform(BigInt),
        birth: number64.transform(BigInt),
        order: z.object({
          term: number64.transform(BigInt),
          factors: valued,
          state: small,
          loadBalancers: small,
          loadBalancer: small,
          override: z.object({ weights: valued, mode: small, reason: z.string() }).nullable(),
          fallback: z.boolean(),
          policy: z.string(),
          newcomersWait: z.boolean(),
        }),
        pool: z
          .object({
            managed: z.boolean(),
            revision: number64.transform(BigInt),
            servers: z.array(z.object({ address: z.string(), weight: z.number().positive(), drain: z.boolean() })).max(1024),
          })
          .nullable(),
      }),
    )
    .max(1024),
});

const LONGEST = 16 << 20;

export interface KeptStore {
  read(): Kept[];
  save(kept: readonly Kept[]): void;
}

export const keptPath = (region: string): string => `${region}.order`;

export class KeptFile implements KeptStore {
  readonly #path: string;
  readonly #log: Pick<Logger, "warn">;
  #last = "";
  #failed = "";

  constructor(region: string, log: Pick<Logger, "warn">) {
    this.#path = keptPath(region);
    this.#log = log;
  }

  /** Nothing where there is none, or one that this release or this user did not write. */
  read(): Kept[] {
    let fd: number;
    try {
      fd = openSync(this.#path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    } catch (e) {
      if ((e as NodeJS.ErrnoException).code !== "ENOENT") this.#say(`cannot be read: ${(e as Error).message}`);
      return [];
    }
    try {
      const s = fstatSync(fd);
      // In a folder that others may write to, such as /dev/shm, the name can be anybody's.
      if (!s.isFile() || s.size > LONGEST || (s.uid !== process.geteuid?.() && s.uid !== 0)) {
        this.#say(`is not believed: expected a file of this user's or root's, found one of user ${s.uid} with ${s.size} bytes`);
        return [];
      }
      return schema.parse(JSON.parse(readFileSync(fd, "utf8"))).vips;
    } catch (e) {
      this.#say(`is of no use: ${(e as Error).message}`);
      return [];
    } finally {
      closeSync(fd);
    }
  }

  /** Written whole, under a new name first: whoever dies meanwhile leaves the last one. What has not changed is not written. */
  save(kept: readonly Kept[]): void {
    const text = JSON.stringify({ version: 2, vips: kept }, (_, v) => (typeof v === "bigint" ? v.toString() : v));
    if (text === this.#last) return;
    const fresh = `${this.#path}.${process.pid}`;
    try {
      rmSync(fresh, { force: true }); // left by a dead process of the same pid
      writeFileSync(fresh, text, { mode: 0o600, flag: "wx" });
      renameSync(fresh, this.#path);
      this.#last = text;
      this.#failed = "";
    } catch (e) {
      rmSync(fresh, { force: true });
      this.#say(`cannot be written, the next agent does not know what is in force: ${(e as Error).message}`);
    }
  }

  #say(what: string): void {
    if (what === this.#failed) return;
    this.#failed = what;
    this.#log.warn({ file: this.#path, reason: what }, "the agent's last word");
  }
}
