// SPDX-License-Identifier: Apache-2.0
// Tests that want a program which is not on every machine: where it is absent they are skipped, and the report says how to get it.
import test, { type ExecutionContext } from "ava";

type Body = (t: ExecutionContext) => Promise<void> | void;

/** `found`: whether what it needs is there; `how` says how to get it. */
export const needs = (found: unknown, how: string) => (title: string, body: Body) =>
  found ? test.serial(title, body) : test.serial.skip(`${title} (${how})`, body);
