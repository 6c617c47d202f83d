// SPDX-License-Identifier: Apache-2.0
import test from "ava";

test("x", (t) => t.pass());
