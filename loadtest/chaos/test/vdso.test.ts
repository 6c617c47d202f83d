// SPDX-License-Identifier: Apache-2.0
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { needs } from "../../../testbed/needs.js";
import { jumpVdso, vdsoMissing } from "../vdso.js";

needs(vdsoMissing === null, vdsoMissing ?? "")(
  "a process that reads the wall clock past the C library sees it jump, and nothing else",
  async (t) => {
    // Node itself reads both clocks by the C library, which asks the vDSO too.
    const code = "setInterval(() => console.log([Date.now(), process.hrtime.bigint() / 1000000n].join(' ')), 20);";
    const child = spawn(process.execPath, ["-e", code], { stdio: ["ignore", "pipe", "inherit"] });
    t.teardown(() => child.kill("SIGKILL"));
    const lines = createInterface({ input: child.stdout });
    const next = (): Promise<[wall: number, steady: number]> =>
      new Promise((resolve) => lines.once("line", (l: string) => resolve(l.split(" ").map(Number) as [number, number])));
    const [wall, steady] = await next();
    const off = async (seconds: number): Promise<void> => {
      await jumpVdso(child.pid as number, seconds);
      for (let i = 0; i < 100; i++) {
        const [w, s] = await next();
        const jumped = (w - wall - (s - steady)) / 1000;
        if (Math.abs(jumped - seconds) < 2) {
          t.pass();
          return;
        }
      }
      t.fail(`the clock did not jump by ${seconds} s`);
    };
    await off(3600);
    await off(-7200);
    await off(0);
  },
);
