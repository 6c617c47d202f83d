// SPDX-License-Identifier: Apache-2.0
// DNS over UDP (RFC 1035): one question, of which only the header of the answer is read.
import { randomInt } from "node:crypto";
import * as z from "zod";
import { CheckFailed, defineCheck } from "./check.js";
import { ask } from "./datagram.js";

const HEADER = 12;
const TYPES = { A: 1, NS: 2, SOA: 6, AAAA: 28 } as const;
const RCODES = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];

export function question(id: number, name: string, type: keyof typeof TYPES): Buffer {
  const header = Buffer.from([id >> 8, id & 255, 0x01, 0, 0, 1, 0, 0, 0, 0, 0, 0]); // recursion desired, one question
  const labels = name.split(".").filter((l) => l !== "");
  const encoded = labels.map((l) => Buffer.concat([Buffer.from([l.length]), Buffer.from(l, "latin1")]));
  return Buffer.concat([header, ...encoded, Buffer.from([0, 0, TYPES[type], 0, 1])]);
}

export const check = defineCheck({
  kind: "dns",
  help: "a question for `dns_name` is answered with NOERROR (or NXDOMAIN)",
  schema: {
    dns_name: z
      .string()
      .max(253)
      .regex(/^(\.|([A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?)$/, { error: "expected a DNS name, such as example.org, or ." })
      .default("."),
    dns_type: z.enum(Object.keys(TYPES) as (keyof typeof TYPES)[]).default("NS"),
  },
  run: (target, options, signal) => {
    const id = randomInt(65_536);
    return ask(target, question(id, options.dns_name, options.dns_type), signal, (answer) => {
      if (answer.length < HEADER || answer.readUInt16BE(0) !== id || ((answer[2] as number) & 0x80) === 0) return null;
      const code = (answer[3] as number) & 15;
      const word = RCODES[code] ?? `rcode ${code}`;
      if (word !== "NOERROR" && word !== "NXDOMAIN") throw new CheckFailed(word);
      return word;
    });
  },
});
