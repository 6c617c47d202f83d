// SPDX-License-Identifier: Apache-2.0
// Preact with htm's templates. All text goes through Preact, which never takes it for markup: names of servers and VIPs come from outside.
import htm from "/lib/htm.js";
import { Component, createRef, h, render, type VNode } from "/lib/preact.js";

export { Component, createRef, render };
export type View = VNode | VNode[] | string | null;
export const html = htm.bind(h) as (strings: TemplateStringsArray, ...values: unknown[]) => VNode;
