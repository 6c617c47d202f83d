// SPDX-License-Identifier: Apache-2.0
// The words and values that the core declares (native/core/include/marllb/vocab.h), as TypeScript uses them. Nothing else here spells a
// mode, a ladder step, a flag or a refusal: what the core does not know fails when this is loaded.
import { addon, type Word } from "./native/addon.js";

const all = addon.vocabulary();

function rows(vocabulary: string): readonly Word[] {
  const found = all[vocabulary];
  if (found === undefined) throw new Error(`vocabulary ${vocabulary}: the addon has ${Object.keys(all).join(", ")}`);
  return found;
}

/** The values of a vocabulary by the core's names, every one of them. */
function values<N extends string>(vocabulary: string, names: readonly N[]): Readonly<Record<N, number>> {
  const known = rows(vocabulary);
  const same = known.length === names.length && known.every((w) => (names as readonly string[]).includes(w.name));
  if (!same)
    throw new Error(`vocabulary ${vocabulary}: expected ${names.join(", ")}, found ${known.map((w) => w.name).join(", ")}`);
  return Object.fromEntries(known.map((w) => [w.name, w.value])) as Record<N, number>;
}

const words = (vocabulary: string): [string, ...string[]] => rows(vocabulary).map((w) => w.word) as [string, ...string[]];
const wordOf =
  (vocabulary: string) =>
  (value: number): string =>
    rows(vocabulary).find((w) => w.value === value)?.word ?? "unknown";

export const Load = values("load", ["FLOWS", "WAITING"]);
export const Owner = values("owner", ["LOCAL", "MANAGED"]);
export const Ladder = values("ladder", ["MODEL", "KALMAN", "LAST_GOOD", "STATIC", "STATIC_DP"]);
export const ServerFlag = values("serverFlag", ["MEMBER", "DRAINING", "EJECTED", "PROBING", "LEAVING", "GUARDED"]);
export const InFlag = values("inFlag", ["CLOSE", "LAST_RESORT"]);
export const Trust = values("trust", ["EXACT", "HINT", "NONE"]);

/** Defaults of a data plane's settings by its words, in ms where they are times. */
export function defaultOf(setting: string): number {
  const row = rows("default").find((w) => w.word === setting);
  if (!row) throw new Error(`vocabulary default: expected a setting of the core, found ${setting}`);
  return row.value;
}

/** The modes that a VIP can have; "keep" is an answer's "as it is". */
export const MODE_WORDS = words("mode").filter((w) => w !== "keep") as [string, ...string[]];
export const LOAD_WORDS = words("load");
export const OWNER_WORDS = words("owner");
export const TRUST_WORDS = words("trust");
export const LADDER_STEPS: readonly number[] = rows("ladder").map((w) => w.value);
export const ladderWord = wordOf("ladder");

/** c of the envelope for a word; the words come from TRUST_WORDS. */
export const trustOf = (word: string): number => rows("trust").find((w) => w.word === word)?.value ?? Trust.HINT;

/** One of the wire's enums: its labels are a prefix and the core's names. UNSPECIFIED stands for what the core does not know. */
export interface Wire<L extends string> {
  label(value: number): L;
  /** undefined for UNSPECIFIED and for what is no label. */
  value(label: string): number | undefined;
  /** As people write it. */
  word(label: string): string;
  readonly labels: readonly string[];
}

function wire<L extends string>(vocabulary: string, prefix: string, unspecified: string | null): Wire<L> {
  const known = rows(vocabulary).map((w) => ({ ...w, label: w.name === unspecified ? `${prefix}UNSPECIFIED` : prefix + w.name }));
  const find = (label: string) => known.find((w) => w.label === label);
  return {
    label: (value) => (known.find((w) => w.value === value)?.label ?? `${prefix}UNSPECIFIED`) as L,
    value: (label) => find(label)?.value,
    word: (label) => find(label)?.word ?? "-",
    labels: known.map((w) => w.label),
  };
}

type Mode = "MODE_UNSPECIFIED" | "MODE_HASH" | "MODE_ALIAS" | "MODE_SED" | "MODE_P2C";
/** MODE_UNSPECIFIED is the core's KEEP: as it is. */
export const wireMode = wire<Mode>("mode", "MODE_", "KEEP");
export const wireLadder = wire<"LADDER_MODEL">("ladder", "LADDER_", null);
export const wireVipState = wire<"VIP_STATE_NORMAL">("vipState", "VIP_STATE_", null);

/** The wire's label of a mode's word; MODE_UNSPECIFIED for none. */
export const modeLabel = (word: string | undefined): Mode =>
  wireMode.label(rows("mode").find((w) => w.word === word)?.value ?? 0);
