// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { Instances, SILENT_MS } from "../instances.js";

test("a name of any length is not kept", (t) => {
  const all = new Instances<string>();
  t.throws(() => all.speak("x".repeat(65), "one", 1n, 0), { message: /^instance: expected at most 64 characters, found 65/ });
});

const clash = { message: /another load balancer is connected under the name "marllb"/ };

test("a second load balancer of one name is refused while the first one speaks", (t) => {
  const all = new Instances<string>();
  all.speak("marllb", "one", 1n, 0);
  for (let now = 0; now < 10 * SILENT_MS; now += 100) {
    t.throws(() => all.speak("marllb", "two", 2n, now), clash);
    all.speak("marllb", "one", 1n, now);
    all.speak("other", "two", 2n, now);
  }
});

test("a restarted data plane, a new stream of the same one, and who follows a silent or closed one are not refused", (t) => {
  const all = new Instances<string>();
  all.speak("marllb", "one", 1n, 0);
  all.speak("marllb", "one", 2n, 1);
  all.speak("marllb", "two", 2n, 2);
  t.throws(() => all.speak("marllb", "three", 3n, 2 + SILENT_MS - 1), clash);
  all.speak("marllb", "three", 3n, 2 + SILENT_MS);
  all.closed("three");
  all.speak("marllb", "four", 4n, 2 + SILENT_MS);
  t.throws(() => all.speak("marllb", "three", 3n, 3 + SILENT_MS), clash);
});
