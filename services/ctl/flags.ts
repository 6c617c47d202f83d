// SPDX-License-Identifier: Apache-2.0
// Values of flags, read one by one.
import { InvalidArgumentError } from "commander";

export function number(least: number, most: number): (text: string) => number {
  return (text) => {
    const n = Number(text);
    if (text.trim() === "" || !(n >= least && n <= most))
      throw new InvalidArgumentError(`expected a number from ${least} to ${most}.`);
    return n;
  };
}

export const append = (value: string, all: string[] = []): string[] => [...all, value];
