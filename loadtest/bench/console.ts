// SPDX-License-Identifier: Apache-2.0
// see.console_* rows: how smooth the page is with many servers, how soon it shows something after a start, and what axe finds.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { type Browser, chromium, NO_CHROMIUM, openBrowser, openPage } from "../../testbed/browser.js";
import { madeUpConsole } from "../../testbed/console.js";
import { ctlCommand } from "../../testbed/ctl.js";
import { Child } from "../../testbed/process.js";
import type { BenchOptions, Group } from "./harness.js";
import { exact, quantile, row } from "./row.js";

const WIDE = { width: 1440, height: 1000 };

/** Frames a second over ten seconds: the page draws a message a second meanwhile. */
const FRAMES = `new Promise((resolve) => {
  let n = 0;
  const start = performance.now();
  const next = (now) => {
    n++;
    if (now - start < 10000) requestAnimationFrame(next);
    else resolve((1000 * n) / (now - start));
  };
  requestAnimationFrame(next);
})`;

async function frames(browser: Browser, { quick, report }: BenchOptions): Promise<void> {
  const console = await madeUpConsole({ servers: 64, minutes: 10 });
  const { page } = await openPage(browser, WIDE);
  const samples: number[] = [];
  try {
    await page.goto(console.url);
    await page.waitForSelector(".chart canvas");
    for (let i = 0; i < (quick ? 1 : 5); i++) samples.push((await page.evaluate(FRAMES)) as number);
  } finally {
    await page.close();
    await console.stop();
  }
  report(
    row(
      "see.console_fps",
      "frames/s",
      ">= 55",
      quantile(samples, 0.5),
      "64 servers, 10 minutes, 1440 x 1000, software rendering",
    ),
  );
}

/** From the launcher's start to the first point in a chart, with the browser already open. */
async function firstPoint(browser: Browser, { quick, report }: BenchOptions): Promise<void> {
  const samples: number[] = [];
  for (let i = 0; i < (quick ? 1 : 3); i++) {
    const { page } = await openPage(browser, WIDE);
    const started = performance.now();
    const name = `bench-${process.pid}-${i}`;
    const child = new Child(ctlCommand("up", "--instance", name, "--plain", "--stop-with-stdin"));
    try {
      let url: string | undefined;
      while (url === undefined) url = /console\s+(http\S+)/.exec(await child.line(60_000))?.[1];
      await page.goto(url);
      await page.waitForSelector(".servers tbody tr", { timeout: 60_000 });
      await page.waitForSelector(".chart canvas", { timeout: 60_000 });
      samples.push((performance.now() - started) / 1000);
    } finally {
      await page.close();
      await child.stop();
    }
  }
  report(
    row(
      "see.console_first_point_s",
      "s",
      "<= 5",
      quantile(samples, 0.5),
      "launcher started to servers and charts drawn; built checkout",
    ),
  );
}

async function accessible(browser: Browser, { report }: BenchOptions): Promise<void> {
  const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
  const console = await madeUpConsole({ servers: 8, minutes: 10, lbs: ["edge1", "edge2"] });
  const views = [WIDE, { ...WIDE, dark: true }, { width: 390, height: 844 }];
  const found: string[] = [];
  try {
    for (const view of views) {
      const { page } = await openPage(browser, view);
      await page.goto(console.url);
      await page.waitForSelector(".chart canvas");
      await page.click("summary");
      await page.waitForSelector(".dumbbell");
      await page.evaluate(axe);
      found.push(...((await page.evaluate("axe.run().then((r) => r.violations.map((v) => v.id))")) as string[]));
      await page.close();
    }
  } finally {
    await console.stop();
  }
  const note = `light, dark and a phone${found.length > 0 ? `: ${[...new Set(found)].join(", ")}` : ""}`;
  report(row("see.console_axe_errors", "errors", "<= 0", exact(found.length, views.length), note));
}

export const consoleRows: Group = {
  ids: ["see.console_fps", "see.console_first_point_s", "see.console_axe_errors"],
  async run(o) {
    const file = chromium();
    if (file === undefined) {
      for (const id of this.ids) o.report(row(id, "", "", null, NO_CHROMIUM));
      return;
    }
    const browser = await openBrowser(file);
    try {
      if (o.wants("see.console_fps")) await frames(browser, o);
      if (o.wants("see.console_first_point_s")) await firstPoint(browser, o);
      if (o.wants("see.console_axe_errors")) await accessible(browser, o);
    } finally {
      await browser.close();
    }
  },
};
