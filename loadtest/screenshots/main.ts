// SPDX-License-Identifier: Apache-2.0
// npm run screenshots -- [--out FOLDER] [--url URL]: the console as it looks, light, dark and on a phone; of the made-up load balancers
// of the tests, or of a console that runs.
import { mkdirSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { projectRoot } from "../../services/common/root.js";
import { type Browser, chromium, NO_CHROMIUM, openBrowser, openPage } from "../../testbed/browser.js";
import { madeUpConsole, TOKEN } from "../../testbed/console.js";

const { out, url } = parseArgs({ options: { out: { type: "string" }, url: { type: "string" } } }).values;
const folder = out ?? path.join(projectRoot, "build/screenshots");
const VIEWS = {
  light: { width: 1280, height: 900 },
  dark: { width: 1280, height: 900, dark: true },
  phone: { width: 390, height: 844 },
} as const;

async function shoot(browser: Browser, of: string, name: keyof typeof VIEWS): Promise<void> {
  const { page, problems } = await openPage(browser, VIEWS[name]);
  const shot = (what: string) =>
    page.screenshot({ path: path.join(folder, `${name}-${what}.png`) as `${string}.png`, fullPage: true });
  await page.goto(of);
  await page.waitForSelector(".servers tbody tr");
  await page.waitForSelector(".chart canvas");
  await new Promise((resolve) => setTimeout(resolve, 2500));
  await shot("page");
  await page.click("summary");
  await page.waitForSelector(".dumbbell");
  await shot("why");
  await page.click(".head .buttons button");
  await page.waitForSelector("dialog[open]");
  await page.screenshot({ path: path.join(folder, `${name}-dialog.png`) as `${string}.png` });
  await page.close();
  for (const p of problems) process.stderr.write(`${name}: ${p}\n`);
}

const file = chromium();
if (file === undefined) {
  process.stderr.write(`${NO_CHROMIUM}\n`);
  process.exit(1);
}
mkdirSync(folder, { recursive: true });
const made =
  url === undefined ? await madeUpConsole({ servers: 8, minutes: 10, lbs: ["edge1", "edge2"], vips: ["web", "api"] }) : undefined;
const browser = await openBrowser(file);
for (const name of Object.keys(VIEWS) as (keyof typeof VIEWS)[]) await shoot(browser, url ?? `${made?.url}#token=${TOKEN}`, name);
await browser.close();
await made?.stop();
process.stdout.write(`written to ${folder}\n`);
