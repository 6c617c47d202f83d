// SPDX-License-Identifier: Apache-2.0
import { hostname } from "node:os";
import test from "ava";
import { hostInstance } from "../host-instance.js";
import { jsonSchema } from "../json-schema.js";
import { parseConfig } from "../load.js";

test("an instance without a name has its host's, as far as an instance may be called so", (t) => {
  t.is(hostInstance("lb1"), "lb1");
  t.is(hostInstance("lb1.eu.example.org"), "lb1.eu.example.org");
  t.is(hostInstance("lb1.a-rather-long-name-of-a-region.example.org"), "lb1");
  t.is(hostInstance(`${"x".repeat(40)}.example.org`), "x".repeat(31));
  t.is(hostInstance("_lb ü1"), "lb-1");
  t.is(hostInstance(""), "marllb");
  const { instance } = parseConfig("vips: []");
  t.is(instance, hostInstance(hostname()));
  // Whatever the host is called, the name is one that a file may give.
  for (const odd of ["-a", "é", ".", "a\nb", "x".repeat(300)])
    t.is(parseConfig(`instance: ${JSON.stringify(hostInstance(odd))}`).instance, hostInstance(odd));
  t.is(parseConfig("instance: one").instance, "one");
});

test("the JSON Schema names no host", (t) => {
  const { instance } = jsonSchema().properties as { instance: object };
  t.false("default" in instance);
});
