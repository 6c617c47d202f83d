// SPDX-License-Identifier: Apache-2.0
// The page in a real Chromium: it draws, it can be used by keyboard and by who does not see it, and nothing that a server is called runs.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import anyTest, { type TestFn } from "ava";
import { type Browser, chromium, NO_CHROMIUM, openBrowser, openPage, type Page } from "../../../testbed/browser.js";
import { type MadeUp, madeUpConsole, TOKEN } from "../../../testbed/console.js";

const test = anyTest as TestFn<{ browser: Browser }>;
const path = chromium();
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const NO_DIALOG = '!document.querySelector("dialog")';
const text = async (page: Page, selector: string): Promise<string> =>
  String(await page.evaluate(`document.querySelector(${JSON.stringify(selector)}).textContent`));

interface Violation {
  id: string;
  nodes: { html: string }[];
}

const WIDE = { width: 1280, height: 900 };
const PHONE = { width: 390, height: 844 };

if (path === undefined) {
  test.skip(`the page in a browser: ${NO_CHROMIUM}`, (t) => t.pass());
} else {
  test.before(async (t) => {
    t.context.browser = await openBrowser(path);
  });
  test.after.always((t) => t.context.browser?.close());

  const open = async (
    t: { context: { browser: Browser }; teardown(fn: () => unknown): void },
    made: MadeUp,
    view: Parameters<typeof openPage>[1],
    hash = "",
  ) => {
    const console = await madeUpConsole(made);
    const { page, problems } = await openPage(t.context.browser, view);
    t.teardown(async () => {
      await page.close();
      await console.stop();
    });
    await page.goto(`${console.url}${hash}`);
    await page.waitForSelector(".servers tbody tr");
    await page.waitForSelector(".chart canvas");
    return { page, problems, console };
  };

  /** Waits until the page has drawn what two later messages say. */
  const drawnAnew = async (page: Page): Promise<void> => {
    for (let n = 0; n < 2; n++) {
      const before = JSON.stringify(await text(page, ".servers"));
      await page.waitForFunction(`document.querySelector(".servers").textContent !== ${before}`);
    }
  };

  for (const [name, view] of [
    ["light", WIDE],
    ["dark", { ...WIDE, dark: true }],
    ["on a phone", PHONE],
  ] as const) {
    test.serial(`${name}: everything is drawn, axe finds no error, nothing is wider than the screen`, async (t) => {
      const { page, problems } = await open(t, { servers: 8, minutes: 10, lbs: ["edge1", "edge2"] }, view);
      await page.click("summary");
      await page.waitForSelector(".dumbbell");
      t.is((await page.$$(".servers tbody tr")).length, 8);
      t.is((await page.$$(".chart canvas")).length, 4);
      await page.evaluate(axe);
      const violations = (await page.evaluate("axe.run().then((r) => r.violations)")) as Violation[];
      t.deepEqual(
        violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html.slice(0, 120)).join(" | ")}`),
        [],
      );
      const over = (await page.evaluate("document.documentElement.scrollWidth - innerWidth")) as number;
      t.true(over <= 0, `${over} px too wide`);
      t.deepEqual(problems, []);
    });
  }

  test.serial("names of servers and VIPs that are markup are text, and their scripts never run", async (t) => {
    const evil = `"><img src=x onerror="window.ran=1"><script>window.ran=1</script>`;
    const { page } = await open(t, { servers: 2, minutes: 1, vips: [evil], address: (i) => `${evil}${i}` }, WIDE);
    await page.click("summary");
    await page.waitForSelector(".dumbbell");
    t.is(await page.evaluate("window.ran"), undefined);
    t.is(await page.$("#app img[src=x]"), null);
    t.true((await text(page, ".servers tbody th")).includes("<script>"));
  });

  test.serial("by keyboard alone: sign in, drain a server with a reason, read a chart moment by moment", async (t) => {
    const { page, console, problems } = await open(t, { servers: 3, minutes: 2 }, WIDE);
    const drain = "button[aria-label^='Drain']";
    await page.focus(drain);
    await page.keyboard.press("Enter");
    await page.waitForSelector("dialog input[name=token]");
    await page.keyboard.type(TOKEN);
    await page.keyboard.press("Enter");
    await page.waitForFunction(NO_DIALOG);
    t.true(await page.evaluate(`document.activeElement === document.querySelector("${drain}")`), "where one was before");
    await page.keyboard.press("Enter");
    await page.waitForSelector("dialog input[name=reason]");
    await page.focus("dialog input[name=reason]");
    await page.keyboard.type("disk");
    await page.keyboard.press("Enter");
    await page.waitForFunction(NO_DIALOG);
    t.like(console.orders, [
      { method: "Drain", request: { name: "web", address: "10.0.0.1:80", reason: "disk; by token at the console" } },
    ]);
    await page.focus(".plot");
    // The newest moments may have no figures: a second in which nothing was heard is a gap.
    const moments: string[] = [];
    for (let n = 0; n < 20 && !/p95 1\d\d ms/.test(moments.at(-1) ?? ""); n++) {
      await page.keyboard.press("ArrowLeft");
      await page.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))");
      moments.push(await text(page, ".chart [aria-live]"));
    }
    const moment = moments.at(-1) ?? "";
    t.regex(moment, /p95 1\d\d ms/, moments.join("\n"));
    await drawnAnew(page);
    t.is(await text(page, ".chart [aria-live]"), moment, "the moment that is read stays");
    await page.keyboard.press("Escape");
    t.deepEqual(problems, []);
  });

  test.serial(
    "what is typed and chosen in a dialog stays while the page goes on, and it is ordered for the VIP that it was opened at",
    async (t) => {
      const { page, console } = await open(t, { servers: 4, minutes: 1, vips: ["web", "api"] }, WIDE, `#token=${TOKEN}`);
      await page.waitForFunction('document.querySelector("header").textContent.includes("may act")');
      const press = (label: string) =>
        page.evaluate(
          `[...document.querySelectorAll("button")].find((b) => b.textContent.startsWith(${JSON.stringify(label)})).click()`,
        );
      const first = await text(page, "#vip-title");
      const vip = first.split(" ")[0];
      await press("Pin weights");
      await page.waitForSelector("dialog .weights input");
      const weights = "[...document.querySelectorAll('dialog .weights input')].map((i) => i.value)";
      const typed = (await page.evaluate(weights)) as string[];
      await page.evaluate("document.querySelectorAll('dialog .weights input')[1].select()");
      await page.keyboard.type("55");
      typed[1] = "55";
      await drawnAnew(page);
      t.deepEqual(await page.evaluate(weights), typed);
      t.true(await page.evaluate("document.activeElement === document.querySelectorAll('dialog .weights input')[1]"));
      await page.evaluate(
        `location.hash = "#vip=" + encodeURIComponent(${JSON.stringify(vip === "web" ? "edge1/api" : "edge1/web")})`,
      );
      await page.waitForFunction(`document.querySelector("#vip-title").textContent !== ${JSON.stringify(first)}`);
      await page.type("dialog input[name=reason]", "test");
      await page.keyboard.press("Enter");
      await page.waitForFunction(NO_DIALOG);
      const order = console.orders[0] as { method: string; request: { name: string; weights: { weight: number }[] } };
      t.deepEqual([order.method, order.request.name], ["SetOverride", vip as string]);
      t.deepEqual(
        order.request.weights.map((w) => w.weight),
        typed.map(Number),
      );

      await press("Policy");
      await page.waitForSelector("dialog input[value=kalman]");
      await page.click("dialog input[value=kalman]");
      await drawnAnew(page);
      t.is(await page.evaluate("document.querySelector('dialog input[name=policy]:checked').value"), "kalman");
      await press("Order");
      await page.waitForFunction(NO_DIALOG);
      t.like(console.orders[1], { method: "SetPolicy", request: { policy: "kalman" } });
    },
  );

  test.serial("the token of the address is used and taken out of it; a wrong one is not signed in", async (t) => {
    const { page } = await open(t, { servers: 2, minutes: 1 }, WIDE, `#token=${TOKEN}`);
    await page.waitForFunction('document.querySelector("header").textContent.includes("may act")');
    t.false((await page.url()).includes(TOKEN));
    const other = await open(t, { servers: 2, minutes: 1 }, WIDE);
    await other.page.click("header button.small");
    await other.page.type("dialog input[name=token]", "wrong-wrong-wrong");
    await other.page.keyboard.press("Enter");
    await other.page.waitForFunction('document.querySelector("dialog .error").textContent !== ""');
  });

  test.serial("a console that goes away is said, with the age of what is shown, and comes back by itself", async (t) => {
    const { page, console } = await open(t, { servers: 2, minutes: 1 }, WIDE);
    const back = await console.away();
    await page.waitForSelector(".banner.bad");
    t.regex(await text(page, ".banner.bad"), /Not live: .*ago/);
    await back();
    await page.waitForFunction('!document.querySelector(".banner.bad")');
  });
}
