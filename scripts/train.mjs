// SPDX-License-Identifier: Apache-2.0
// npm run train -- --model NAME [--config NAME|FILE] [...]: builds the simulator, makes training/.venv when it is absent, and
// runs training/marllb_train (its flags: npm run train -- --help).
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { exec, root } from "./lib/exec.mjs";
import { setupOrExit } from "./setup.mjs";

const folder = path.join(root, "training");
const venv = path.join(folder, ".venv", "bin", "python");

async function say(command, args) {
  const { code, out } = await exec(command, args, { cwd: folder });
  if (code === 0) return;
  console.error(`${out}\n${command} ${args.join(" ")} failed (exit ${code}).`);
  console.error("Training needs Python >= 3.10 with venv and pip (Debian: sudo apt-get install -y python3-venv).");
  process.exit(1);
}

async function python() {
  if (process.env.PYTHON) return process.env.PYTHON;
  if (!existsSync(venv)) {
    console.error("Installing training/requirements.txt into training/.venv (about 800 MB, once) ...");
    await say("python3", ["-m", "venv", ".venv"]);
    await say(venv, ["-m", "pip", "install", "--quiet", "-r", "requirements.txt"]);
  }
  return venv;
}

await setupOrExit();
// Paths on the command line are those of the person who typed them: npm itself has moved to the checkout's root.
const child = spawn(await python(), ["-m", "marllb_train", ...process.argv.slice(2)], {
  cwd: process.env.INIT_CWD ?? process.cwd(),
  env: { ...process.env, PYTHONPATH: [folder, process.env.PYTHONPATH].filter(Boolean).join(path.delimiter) },
  stdio: "inherit",
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal));
child.on("exit", (code, signal) => process.exit(code ?? (signal === "SIGINT" ? 130 : 1)));
