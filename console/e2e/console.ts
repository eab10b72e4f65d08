// What the tests share: people who sign in, a page that may not complain, and an eye for accessibility.

import { existsSync } from "node:fs";
import { join } from "node:path";
import AxeBuilder from "@axe-core/playwright";
import { type BrowserContext, test as base, expect, type Page } from "@playwright/test";

export { expect };

export interface House {
  url: string;
  trust: string;
}

interface Fixtures {
  house: House;
  /** Takes a picture for people, and checks the page for accessibility. */
  look: (page: Page, name: string) => Promise<void>;
  /** A page of somebody signed in; each has a browser context of their own. */
  as: (account: string, path?: string) => Promise<Page>;
}

/** Whatever a page complains about fails its test: a refused script, an error, a policy violation. */
function watch(context: BrowserContext, complaints: string[]): void {
  context.on("weberror", (error) => complaints.push(`error: ${error.error().message}`));
  context.on("console", (message) => {
    // A refused or missing answer is told by the page itself, and Chromium's line about it is not of interest.
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) {
      complaints.push(`console: ${message.text()}`);
    }
  });
  context.on("request", (request) => {
    const to = new URL(request.url());
    if (to.hostname !== "127.0.0.1" && to.hostname !== "localhost" && to.protocol.startsWith("http")) {
      complaints.push(`a request to the outside: ${to.host}`);
    }
  });
}

/** With CONSOLE_DIST, pages come from that build instead of the one in the program, under the same headers:
 * to try a change of the console without compiling the program again. */
async function serveBuild(context: BrowserContext): Promise<void> {
  const dist = process.env.CONSOLE_DIST;
  if (!dist) return;
  await context.route(
    (url) =>
      url.port === new URL(process.env.HOUSE_URL ?? "").port && !/^\/(v1|auth|t|dev)\//.test(url.pathname),
    async (route) => {
      const path = new URL(route.request().url()).pathname;
      const file = join(dist, path);
      // What the program's own page asks for, the program has.
      if (path.startsWith("/assets/") && !existsSync(file)) return route.continue();
      const found = path !== "/" && existsSync(file) ? file : join(dist, "index.html");
      const {
        "content-length": _,
        "content-encoding": __,
        ...headers
      } = (
        await route.fetch({ url: new URL("/", process.env.HOUSE_URL).href, headers: { accept: "text/html" } })
      ).headers();
      const type = found.endsWith(".html") ? headers["content-type"] : undefined;
      await route.fulfill({ path: found, headers: { ...headers, "content-type": type ?? typeOf(found) } });
    },
  );
}

function typeOf(file: string): string {
  const types = { js: "text/javascript", css: "text/css", svg: "image/svg+xml", woff2: "font/woff2" };
  return types[file.split(".").at(-1) as keyof typeof types] ?? "application/octet-stream";
}

export const test = base.extend<Fixtures>({
  // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the names of what a fixture needs here.
  house: async ({}, use) => {
    await use({ url: process.env.HOUSE_URL ?? "", trust: process.env.HOUSE_TRUST ?? "" });
  },
  baseURL: async ({ house }, use) => {
    await use(house.url);
  },
  context: async ({ context }, use) => {
    await serveBuild(context);
    await use(context);
  },
  // biome-ignore lint/correctness/noEmptyPattern: as above.
  look: async ({}, use, testInfo) => {
    await use(async (page, name) => {
      // A run's stream never ends, so the network is never idle: what must be there is the type it is set in.
      await page.evaluate(() => document.fonts.ready.then(() => undefined));
      await page.waitForTimeout(300);
      const picture = `test-results/screens/${name}-${testInfo.project.name}`;
      const seen = page.viewportSize();
      await page.screenshot({ path: `${picture}.png`, animations: "disabled" });
      // As tall as the page, so that bars that stick to the screen cover nothing.
      const tall = await page.evaluate(() => document.documentElement.scrollHeight);
      if (seen) await page.setViewportSize({ width: seen.width, height: Math.max(seen.height, tall) });
      await page.screenshot({ path: `${picture}-whole.png`, animations: "disabled" });
      const { violations } = await new AxeBuilder({ page })
        .withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"])
        .analyze();
      const told = violations.map(
        (one) => `${one.id}: ${one.help} (${one.nodes.map((node) => node.target).join(" | ")})`,
      );
      expect(told, `accessibility of ${name}`).toEqual([]);
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      expect(overflow, `${name} fits the width`).toBeLessThanOrEqual(0);
      if (seen) await page.setViewportSize(seen);
    });
  },
  as: async ({ browser, contextOptions, baseURL, viewport, colorScheme, hasTouch, isMobile }, use) => {
    const contexts: BrowserContext[] = [];
    const complaints: string[] = [];
    await use(async (account, path = "/") => {
      const context = await browser.newContext({
        ...contextOptions,
        viewport,
        colorScheme,
        hasTouch,
        isMobile,
        ...(baseURL ? { baseURL } : {}),
      });
      contexts.push(context);
      watch(context, complaints);
      await serveBuild(context);
      const page = await context.newPage();
      await page.goto(path);
      await signIn(page, account);
      return page;
    });
    for (const context of contexts) await context.close();
    expect(complaints, "what pages complained about").toEqual([]);
  },
});

/** From the sign-in page through the development provider and back. */
export async function signIn(page: Page, account: string): Promise<void> {
  await page.getByRole("link", { name: /^demo/ }).click();
  await page.locator(`button[name="account"][value="${account}"]`).click();
  await expect(page.getByRole("navigation").first()).toBeVisible();
  // A redirect's target can't be replaced on its way.
  if (process.env.CONSOLE_DIST) await page.reload();
}

/** Starts a run by the form; gives the address of its page. */
export async function startRun(
  page: Page,
  purpose: string,
  quarter = "2026-Q3",
  worker = "finance/quarterly-summary",
): Promise<string> {
  await page.goto(`/runs/new?${new URLSearchParams({ worker })}`);
  await page.getByLabel("Purpose").fill(purpose);
  await page.getByRole("textbox", { name: "quarter" }).fill(quarter);
  await page.getByRole("button", { name: "Start the run" }).click();
  await page.waitForURL(/\/runs\/run_/);
  return new URL(page.url()).pathname;
}

/** Waits until the run has ended, answering whatever it asks the other person for. Gives how often it asked. */
export async function answerUntilOver(
  page: Page,
  other: () => Promise<Page>,
  each?: (page: Page) => Promise<void>,
): Promise<number> {
  const verify = page.getByRole("button", { name: /^Verify/ });
  const waits = page
    .getByRole("link", { name: "Read what is asked" })
    .or(page.getByRole("link", { name: "Read and decide" }))
    .first();
  let answered = 0;
  for (;;) {
    await expect(async () => {
      expect((await verify.isEnabled()) || (await waits.isVisible())).toBe(true);
    }).toPass({ timeout: 30_000 });
    if (await verify.isEnabled()) return answered;
    const path = (await waits.getAttribute("href")) ?? "";
    const decider = await other();
    await decider.goto(path);
    await expect(decider.getByRole("button", { name: /^(Approve|Send)$/ })).toBeVisible();
    if (each) await each(decider);
    await fillForm(decider);
    await decider.getByRole("button", { name: /^(Approve|Send)$/ }).click();
    await decider.getByRole("button", { name: /^(Approve|Send) it$/ }).click();
    await expect(decider.getByText("Approved").first()).toBeVisible();
    answered += 1;
    await expect(page.locator(`a[href="${path}"]`)).toHaveCount(0, { timeout: 20_000 });
  }
}

/** Fills whatever a review asks with something that fits. */
async function fillForm(page: Page): Promise<void> {
  for (const select of await page.locator("form select, section select").all())
    await select.selectOption({ index: 1 });
  for (const box of await page.getByRole("checkbox").all()) await box.check();
  for (const number of await page.getByRole("spinbutton").all()) await number.fill("1");
}

/** Pins the house's own anchor, as a person would. */
export async function pinAnchor(page: Page, house: House): Promise<void> {
  await page.goto("/trust");
  await page.locator("input[type=file]").setInputFiles(house.trust);
  await page.getByRole("button", { name: "It matches: pin it" }).click();
  await expect(page.getByText("Pinned in this browser")).toBeVisible();
}
