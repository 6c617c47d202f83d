// SPDX-License-Identifier: Apache-2.0
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import path from "node:path";
import test from "ava";
import { needs } from "../../../testbed/needs.js";
import { which } from "../../../testbed/process.js";
import { scratch } from "../../../testbed/service.js";
import { completion } from "../completion.js";
import { EXIT_CODES, manual } from "../manual.js";
import { addCommands, newProgram, ROOMS } from "../program.js";
import { nodes, treeOf } from "../tree.js";

async function tree() {
  const program = newProgram();
  await addCommands(program);
  return treeOf(program);
}

test("every command has a word of help, and answers are JSON where they are answers", async (t) => {
  const all = nodes(await tree()).filter((n) => n.path.length > 0);
  t.true(all.length > 30);
  for (const n of all) t.not(n.help, "", n.path.join(" "));
  /** What prints a text that is no answer, or changes a file of this host only. */
  const noAnswer = [
    "up",
    "watch",
    "completion",
    "manual",
    "config schema",
    "context use",
    "context set",
    "context delete",
    "vpp keep",
  ];
  const silent = all.filter((n) => n.children.length === 0 && !n.flags.some((f) => f.names.includes("--json")));
  t.deepEqual(silent.map((n) => n.path.join(" ")).sort(), noAnswer.sort());
});

test("a command's first word loads its room and no other, and an unknown one loads them all", async (t) => {
  for (const room of ROOMS) {
    for (const word of room.words) {
      const program = newProgram();
      await addCommands(program, word);
      t.deepEqual(program.commands.map((c) => c.name()).sort(), [...room.words].sort());
    }
  }
  const all = newProgram();
  await addCommands(all, "statsu");
  t.deepEqual(all.commands.map((c) => c.name()).sort(), [...ROOMS.flatMap((r) => r.words), "completion", "manual"].sort());
});

test("the manual has every command, every flag and the exit codes", async (t) => {
  const root = await tree();
  const page = manual("marllbctl", "1.2.3", root);
  for (const n of nodes(root).filter((x) => x.path.length > 0))
    t.true(page.includes(`.SS "${n.path.join(" ").replaceAll("-", "\\-")}"`), n.path.join(" "));
  for (const [code] of EXIT_CODES) t.true(page.includes(`.B ${code}\n`));
  t.true(page.includes("\\-\\-mode"));
  t.notRegex(page, /^\.(?!(nf|fi)$)[a-z]/m, "no line of text is taken for a request");
});

const man = which("man");
needs(man, "needs man")("man has nothing against the manual", async (t) => {
  const s = scratch();
  t.teardown(s.remove);
  const file = path.join(s.dir, "marllbctl.1");
  writeFileSync(file, manual("marllbctl", "1.2.3", await tree()));
  const out = execFileSync(man as string, ["--warnings", "-l", file], {
    encoding: "utf8",
    env: { ...process.env, MANPAGER: "cat", MANWIDTH: "120" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  t.regex(out, /policy set/);
});

const bash = which("bash");
needs(bash, "needs bash")("bash completes subcommands, choices and flags", async (t) => {
  const script = completion("bash", "marllbctl", await tree());
  const offered = (...words: string[]): string[] => {
    const list = words.map((w) => `'${w}'`).join(" ");
    const ask = `${script}\nCOMP_WORDS=(marllbctl ${list}); COMP_CWORD=${words.length}; _marllbctl; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return execFileSync(bash as string, ["--norc", "-c", ask], { encoding: "utf8" })
      .split("\n")
      .filter(Boolean);
  };
  t.deepEqual(offered("poli"), ["policy"]);
  t.true(offered("policy", "").includes("set"));
  t.deepEqual(offered("--timeout", "100", "override", "s"), ["set"], "a flag's value is no command");
  t.true(offered("override", "set", "--mode", "").includes("sed"));
  t.true(offered("drain", "10.0.0.1:80", "--").includes("--deadline"));
  t.true(offered("log-level", "").includes("inference"));
});

for (const shell of ["zsh", "fish"] as const) {
  const program = which(shell);
  needs(program, `needs ${shell}`)(`${shell} reads its completions`, async (t) => {
    const s = scratch();
    t.teardown(s.remove);
    const file = path.join(s.dir, `marllbctl.${shell}`);
    writeFileSync(file, completion(shell, "marllbctl", await tree()));
    t.notThrows(() => execFileSync(program as string, ["-n", file]));
  });
}

test("completions name every command in every shell", async (t) => {
  const root = await tree();
  for (const shell of ["bash", "zsh", "fish"] as const) {
    const text = completion(shell, "marllbctl", root);
    for (const n of nodes(root).filter((x) => x.path.length > 0))
      t.true(text.includes(n.path.join(" ")), `${shell}: ${n.path.join(" ")}`);
  }
});
