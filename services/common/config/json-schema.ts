// SPDX-License-Identifier: Apache-2.0
// The configuration's shape as JSON Schema, from the schema that the services read it by: what an editor completes and underlines.
import * as z from "zod";
import { schema } from "./schema.js";

/** Checks that are code (an address, a network) are not in it: `marllbctl config check` has the last word. */
export function jsonSchema(): Record<string, unknown> {
  const { $schema, ...shape } = z.toJSONSchema(schema, {
    io: "input",
    unrepresentable: "any",
    override: ({ zodSchema, jsonSchema: made }) => {
      // The one default that is another on every host.
      if (zodSchema === schema.shape.instance) delete made.default;
    },
  });
  return { $schema, title: "marllb.yaml", ...shape };
}
