// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { ConfigError, loadConfig } from "../load.js";

const files: { what: string; bytes: Buffer | string; size?: number; expect: RegExp }[] = [
  { what: "binary", bytes: Buffer.from("tick_ms: 100\n\u0000\u0001"), expect: /:2: not a text file; expected YAML in UTF-8$/ },
  { what: "another encoding", bytes: Buffer.from("instance: caf\u00e9\n", "latin1"), expect: /:1: not a text file/ },
  { what: "UTF-16", bytes: Buffer.from("\ufefftick_ms: 100\n", "utf16le"), expect: /:1: not a text file/ },
  { what: "huge", bytes: "", size: 1 << 30, expect: /: expected at most 4194304 bytes, found 1073741824$/ },
];

for (const f of files) {
  test(`a file that is ${f.what} is refused with its name`, (t) => {
    const dir = mkdtempSync(join(tmpdir(), "marllb-config-"));
    t.teardown(() => rmSync(dir, { recursive: true }));
    const file = join(dir, "m.yaml");
    writeFileSync(file, f.bytes);
    if (f.size !== undefined) truncateSync(file, f.size); // sparse: takes no room
    const e = t.throws(() => loadConfig(file), { instanceOf: ConfigError });
    t.true(e?.message.startsWith(file));
    t.regex(e?.message ?? "", f.expect);
  });
}

test("a folder, and a file that is not there, are refused with the name", (t) => {
  t.throws(() => loadConfig(tmpdir()), { instanceOf: ConfigError, message: /cannot be read: EISDIR/ });
  t.throws(() => loadConfig("/nonexistent/m.yaml"), {
    instanceOf: ConfigError,
    message: /^\/nonexistent\/m\.yaml: cannot be read: ENOENT/,
  });
});
