// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { missingPrerequisites } from "../setup.mjs";

const machine =
  (...have) =>
  (name) =>
    have.includes(name) ? `/usr/bin/${name}` : undefined;

test("a machine with everything lacks nothing, with make or with Ninja", (t) => {
  t.deepEqual(missingPrerequisites(machine("cc", "c++", "cmake", "make", "npm"), "20.20.2"), []);
  t.deepEqual(missingPrerequisites(machine("cc", "c++", "cmake", "ninja", "npm"), "24.1.0"), []);
});

test("each missing prerequisite is named with the command that installs it", (t) => {
  const missing = missingPrerequisites(machine("npm"), "18.19.0");
  t.is(missing.length, 5);
  t.regex(missing[0].what, /Node.js 20 or newer \(this is 18.19.0\)/);
  for (const m of missing.slice(1)) t.regex(m.install, /^sudo apt-get install -y \S+$/);
});
