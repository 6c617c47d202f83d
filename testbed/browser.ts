// SPDX-License-Identifier: Apache-2.0
// A real Chromium without a window, where there is one.
import { existsSync } from "node:fs";
import puppeteer, { type Browser, type Page } from "puppeteer-core";
import { which } from "./process.js";

export type { Browser, Page } from "puppeteer-core";

/** Its path; undefined where none is installed. CHROMIUM names another one. */
export function chromium(): string | undefined {
  const { CHROMIUM } = process.env;
  if (CHROMIUM !== undefined) return existsSync(CHROMIUM) ? CHROMIUM : undefined;
  return (
    ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
      .map((name) => which(name))
      .find((found) => found !== null) ?? undefined
  );
}

export const NO_CHROMIUM = "no Chromium is installed (Debian: sudo apt-get install -y chromium)";

export function openBrowser(executablePath: string): Promise<Browser> {
  return puppeteer.launch({
    executablePath,
    headless: true,
    // Containers have a small /dev/shm, and root no sandbox of Chromium's own kind. It sees pages of this machine only.
    args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking", "--no-first-run", "--mute-audio"],
    protocolTimeout: 120_000,
  });
}

/** A page, and what went wrong in it: errors of scripts, of the console, and what its policy kept from loading. */
export async function openPage(
  browser: Browser,
  view: { width: number; height: number; dark?: boolean },
): Promise<{ page: Page; problems: string[] }> {
  const page = await browser.newPage();
  const problems: string[] = [];
  page.on("pageerror", (e) => problems.push(String(e)));
  page.on("console", (m) => {
    if (m.type() === "error" || m.type() === "warn") problems.push(m.text());
  });
  page.setDefaultTimeout(120_000);
  await page.setViewport({ width: view.width, height: view.height });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: view.dark ? "dark" : "light" }]);
  return { page, problems };
}
