// SPDX-License-Identifier: Apache-2.0
// Terms: what makes an agent refuse an old order. A term is the version of the intent that the order was made of, and within it a count of
// what was observed. A replica that has an old intent can therefore not overrule one that has a newer.

/** Orders of one version before its terms reach into the next one's, which is no harm: they still grow. */
const TERMS_A_VERSION = 65_536;

/** Operations that a lost store may have forgotten: years of a thousand a day. Beyond, a term is none of ours. */
export const VERSION_REACH = 1_000_000;

export const versionOf = (term: number): number => Math.floor(term / TERMS_A_VERSION);
export const firstTerm = (version: number): number => version * TERMS_A_VERSION + 1;
export const nextTerm = (version: number, last: number): number => Math.max(firstTerm(version), last + 1);

/**
 * What an agent's applied term says to a replica. `old`: nothing new. `follow`: another replica ordered of the same intent; ours go on from
 * there. `later`: of an intent that we have not read. `foreign`: believed by nobody, or one number ends all counting.
 */
export function outside(applied: number, version: number, term: number): "old" | "follow" | "later" | "foreign" {
  if (applied <= term) return "old";
  if (!Number.isSafeInteger(applied) || versionOf(applied) - version > VERSION_REACH) return "foreign";
  return versionOf(applied) > version ? "later" : "follow";
}
