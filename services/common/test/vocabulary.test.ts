// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { Ladder as LadderEnum } from "../../../gen/marllb/v1/Ladder.js";
import { Mode as ModeEnum } from "../../../gen/marllb/v1/Mode.js";
import { VipState as VipStateEnum } from "../../../gen/marllb/v1/VipState.js";
import {
  LADDER_STEPS,
  Ladder,
  ladderWord,
  MODE_WORDS,
  modeLabel,
  ServerFlag,
  trustOf,
  wireLadder,
  wireMode,
  wireVipState,
} from "../vocabulary.js";

test("words and values are the core's", (t) => {
  t.deepEqual(MODE_WORDS, ["hash", "alias", "sed", "p2c"]);
  t.is(ladderWord(Ladder.LAST_GOOD), "last-good");
  t.is(ladderWord(Ladder.STATIC_DP), "static-dp");
  t.is(ladderWord(9), "unknown");
  t.deepEqual(LADDER_STEPS, [0, 1, 2, 3, 4]);
  t.is(ServerFlag.EJECTED, 4);
  t.is(trustOf("exact"), 0.1);
});

// What the core has and the wire lacks, or the other way round, would be lost on its way without a sign.
test("the wire's enums have the core's names, one to one", (t) => {
  const labels = (e: Record<string, string>, unspecified: string) => Object.keys(e).filter((l) => l !== unspecified);
  t.deepEqual(wireMode.labels, Object.keys(ModeEnum));
  t.deepEqual(wireLadder.labels, labels(LadderEnum, "LADDER_UNSPECIFIED"));
  t.deepEqual(wireVipState.labels, labels(VipStateEnum, "VIP_STATE_UNSPECIFIED"));
});

test("labels, values and words of the wire", (t) => {
  t.is(wireMode.label(3), "MODE_SED");
  t.is(wireMode.label(0), "MODE_UNSPECIFIED");
  t.is(wireMode.label(77), "MODE_UNSPECIFIED");
  t.is(wireMode.value("MODE_P2C"), 4);
  t.is(wireMode.value("MODE_UNSPECIFIED"), 0);
  t.is(wireMode.value("MODE_NONE"), undefined);
  t.is(wireLadder.word("LADDER_STATIC_DP"), "static-dp");
  t.is(wireLadder.word("LADDER_UNSPECIFIED"), "-");
  t.is(modeLabel("sed"), "MODE_SED");
  t.is(modeLabel(undefined), "MODE_UNSPECIFIED");
});
