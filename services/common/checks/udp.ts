// SPDX-License-Identifier: Apache-2.0
import * as z from "zod";
import { CheckFailed, defineCheck } from "./check.js";
import { ask } from "./datagram.js";

/** Text as it stands, or "hex:" and digits. Null where the digits are none. */
export function payload(text: string): Buffer | null {
  if (!text.startsWith("hex:")) return Buffer.from(text);
  const digits = text.slice(4).replaceAll(" ", "");
  return /^([0-9A-Fa-f]{2})*$/.test(digits) ? Buffer.from(digits, "hex") : null;
}

const bytes = z
  .string()
  .max(2000)
  .refine((s) => payload(s) !== null, { error: "expected text, or hex: and an even number of hexadecimal digits" })
  .default("");

export const check = defineCheck({
  kind: "udp",
  help: "a datagram of `udp_send` is answered, by one that contains `udp_expect`",
  schema: {
    udp_send: bytes, // empty: an empty datagram
    udp_expect: bytes, // empty: any answer
  },
  run: (target, options, signal) => {
    const expected = payload(options.udp_expect) as Buffer;
    return ask(target, payload(options.udp_send) as Buffer, signal, (answer) => {
      if (!answer.includes(expected)) throw new CheckFailed("the answer does not contain udp_expect");
      return `answered ${answer.length} bytes`;
    });
  },
});
