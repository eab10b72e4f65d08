// The whole story in a real browser, in each theme and at each width.

import { answerUntilOver, expect, pinAnchor, startRun, test } from "./console";

const HOSTILE = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>';
const HIDING = "\u202Egnp.exe\u200B";

test("sign in, start, approve as another, verify", async ({ as, house, look, page }) => {
  await page.goto("/runs");
  await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();
  await look(page, "sign-in");

  const lead = await as("finance-lead");
  await lead.goto("/runs/new");
  await look(lead, "start-a-run");
  const path = await startRun(lead, "Board meeting of the third quarter");
  let director: Awaited<ReturnType<typeof as>> | undefined;
  const other = async () => {
    await look(lead, "run-waiting");
    director ??= await as("finance-director");
    return director;
  };
  const answered = await answerUntilOver(lead, other, async (decider) => {
    await look(
      decider,
      `approval-${(await decider.getByText("Guarded step").count()) > 0 ? "guarded" : "review"}`,
    );
  });
  expect(answered).toBeGreaterThan(0);

  await expect(lead.getByText("Completed").first()).toBeVisible();
  await look(lead, "run");
  await pinAnchor(lead, house);
  await look(lead, "trust-anchor");
  await lead.goto(path);
  await lead.getByRole("button", { name: "Verify in this browser" }).click();
  await expect(lead.getByTestId("verdict")).toHaveText("The passport holds");
  await expect(lead.locator("[data-check]")).toHaveCount(10);
  await expect(lead.locator("[data-outcome=pass]")).toHaveCount(10);
  await look(lead, "run-verified");

  for (const details of await lead.locator("main details summary").all()) await details.click();
  await look(lead, "run-opened");

  await lead.goto("/runs");
  await expect(lead.getByRole("link", { name: "Board meeting of the third quarter" }).first()).toBeVisible();
  await look(lead, "runs");
  if (director) {
    await director.goto("/approvals");
    await expect(director.getByRole("heading", { name: "Approvals" })).toBeVisible();
    await look(director, "approvals");
  }
});

// The rest differs by width more than by theme: dark at the desk, light on the phone.
test.beforeEach(({ colorScheme, isMobile }, { title }) => {
  const story = title === "sign in, start, approve as another, verify";
  test.skip(!story && (colorScheme === "dark") === isMobile, "walked in the other theme");
});

test("the one who started it may not approve it", async ({ as, look }) => {
  const lead = await as("finance-lead");
  await startRun(lead, "Approved by nobody");
  await lead.getByRole("link", { name: "Read what is asked" }).first().click();
  await expect(lead.getByText("You may not decide this one")).toBeVisible();
  await expect(lead.getByRole("button", { name: "Approve" })).toHaveCount(0);
  await look(lead, "approval-not-yours");
});

test("a refused run says why", async ({ as, look }) => {
  const director = await as("finance-director");
  await startRun(director, "No right to the warehouse");
  await expect(director.getByText("Refused by policy", { exact: true })).toBeVisible();
  await expect(director.getByText(/outside the authority of this run/).first()).toBeVisible();
  await expect(director.getByText("was not let through: nothing was sent, no token was made")).toBeVisible();
  await look(director, "run-refused");
});

test("a review is answered by its form", async ({ as, look }) => {
  const clerk = await as("claims-clerk");
  await clerk.goto(`/runs/new?${new URLSearchParams({ worker: "claims/claim-processing" })}`);
  await clerk.getByLabel("Purpose").fill("Regular settlement");
  await clerk.getByRole("textbox", { name: "claim" }).fill("CL-1002");
  await clerk.getByRole("button", { name: "Start the run" }).click();
  const asked = clerk.getByRole("link", { name: "Read what is asked" }).first();
  await expect(asked).toBeVisible({ timeout: 30_000 });
  const handler = await as("claims-handler");
  await handler.goto((await asked.getAttribute("href")) ?? "");
  await handler.getByRole("button", { name: "Send" }).click();
  await expect(handler.getByText("This is needed.").first()).toBeVisible();
  await handler.getByLabel("decision").selectOption("pay");
  await handler.getByLabel("amount_cents").fill("600000");
  await handler.getByLabel("reason").fill("The floor can be mended");
  await look(handler, "review");
  await handler.getByRole("button", { name: "Send" }).click();
  await handler.getByRole("button", { name: "Send it" }).click();
  await expect(handler.getByRole("status").filter({ hasText: "Approved" })).toBeVisible();
  await look(handler, "review-answered");
  // A claim is paid once, in whichever of these tests comes first; the answer counts in each.
  await expect(clerk.getByRole("button", { name: /^Verify/ })).toBeEnabled({ timeout: 30_000 });
  await expect(clerk.getByText("Approved", { exact: true })).toBeVisible();
});

test("what went wrong stands on top", async ({ as, look }) => {
  const lead = await as("finance-lead");
  await startRun(lead, "A note in the figures", "2025-Q3", "finance/forensics-prompt-injection");
  await expect(lead.getByRole("heading", { name: "One finding" })).toBeVisible({ timeout: 30_000 });
  await expect(lead.getByRole("heading", { name: /^Prompt injection/ })).toBeVisible();
  await lead.locator("section[aria-labelledby=findings] a").first().click();
  await expect(lead.locator("details[open][id^=entry-]")).toHaveCount(1);
  await look(lead, "run-finding");
});

test("hostile text is shown, and does nothing", async ({ as, look }) => {
  const director = await as("finance-director");
  // The server takes no purpose in which something hides, and says so.
  await director.goto("/runs/new?worker=finance%2Fquarterly-summary");
  await director.getByLabel("Purpose").fill(`${HOSTILE}${HIDING}`);
  await director.getByRole("textbox", { name: "quarter" }).fill("2026-Q3");
  await director.getByRole("button", { name: "Start the run" }).click();
  await expect(director.getByRole("alert")).toContainText("purpose");
  await look(director, "hostile-refused");

  const path = await startRun(director, HOSTILE);
  await expect(director.getByRole("heading", { level: 1 })).toHaveText(HOSTILE);
  await director.goto("/runs");
  await expect(director.locator(`a[href="${path}"]`)).toHaveText(HOSTILE);
  expect(await director.evaluate(() => "pwned" in window)).toBe(false);
  expect(await director.locator("img[src=x]").count()).toBe(0);

  // Where a server lets such text through after all, the page writes it out.
  await director.route(`**/v1${path}`, async (route) => {
    const response = await route.fetch();
    const run = await response.json();
    await route.fulfill({ response, json: { ...run, purpose: `${HOSTILE}${HIDING}` } });
  });
  await director.goto(path);
  await expect(director.getByRole("heading", { level: 1 })).toHaveText(`${HOSTILE}\\u{202E}gnp.exe\\u{200B}`);
  await look(director, "hostile");
});

test("a passport with one byte changed does not hold", async ({ as, house, look }) => {
  const director = await as("finance-director");
  const path = await startRun(director, "Tampered with");
  await pinAnchor(director, house);
  let change = (body: Buffer): Buffer => body;
  await director.route("**/passport", async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: change(await response.body()) });
  });
  const verdict = director.getByTestId("verdict");
  await director.goto(path);
  await director.getByRole("button", { name: "Verify in this browser" }).click();
  await expect(verdict).toHaveText("The passport holds");
  for (const part of [0.1, 0.5, 0.9]) {
    change = (body) => {
      const at = Math.floor(body.length * part);
      body[at] = (body[at] ?? 0) ^ 1;
      return body;
    };
    await director.getByRole("button", { name: "Verify again" }).click();
    await expect(verdict).toHaveText("The passport does not hold");
    await expect(director.locator("[data-outcome=fail]")).toHaveCount(1);
  }
  await look(director, "run-tampered");

  // A server that shows other entries than those it signed is found out too.
  change = (body) => body;
  await director.route("**/entries", async (route) => {
    const response = await route.fetch();
    await route.fulfill({
      response,
      body: (await response.text()).replace("Tampered with", "Something harmless"),
    });
  });
  await director.reload();
  await director.getByRole("button", { name: "Verify in this browser" }).click();
  await expect(verdict).toHaveText("The passport does not hold");
  await expect(director.locator("[data-check=page]")).toHaveAttribute("data-outcome", "fail");
});

test("the keyboard alone is enough", async ({ as, look, isMobile }) => {
  test.skip(isMobile, "phones have none");
  const lead = await as("finance-lead");
  await expect(lead.getByRole("heading", { name: "Runs" })).toBeVisible();
  await lead.keyboard.press("Tab");
  await expect(lead.getByRole("link", { name: "Skip to the content" })).toBeFocused();
  await lead.keyboard.press("Enter");
  await expect(lead.locator("#main")).toBeFocused();
  await lead.keyboard.press("?");
  await expect(lead.getByRole("dialog")).toBeVisible();
  await look(lead, "shortcuts");
  await lead.keyboard.press("Escape");
  await expect(lead.getByRole("dialog")).toHaveCount(0);
  await lead.keyboard.press("g");
  await lead.keyboard.press("a");
  await expect(lead.getByRole("heading", { name: "Approvals" })).toBeFocused();
  await lead.keyboard.press("n");
  await expect(lead).toHaveURL(/\/runs\/new$/);
  await lead.getByRole("radio", { name: /^Quarterly/ }).focus();
  await lead.keyboard.press("Space");
  await lead.getByRole("button", { name: /^Start the run/ }).focus();
  await lead.keyboard.press("Enter");
  await expect(lead.getByLabel("Purpose")).toBeFocused();
  await lead.keyboard.type("? and g r are letters here");
  await expect(lead.getByLabel("Purpose")).toHaveValue("? and g r are letters here");
});

test("an ended session leads back to where one was", async ({ as, look }) => {
  const lead = await as("finance-lead");
  await lead.goto("/approvals");
  await lead.context().clearCookies();
  await lead.reload();
  await expect(lead.getByText("You are not signed in")).toBeVisible();
  await look(lead, "session-ended");
  await lead.getByRole("link", { name: /^demo/ }).click();
  await lead.locator('button[value="finance-lead"]').click();
  await expect(lead).toHaveURL(/\/approvals$/);
  await lead.getByRole("button", { name: /^Account/ }).click();
  await lead.getByRole("radio", { name: "Dark" }).check({ force: true });
  await expect(lead.locator("html")).toHaveAttribute("data-theme", "dark");
  await look(lead, "account");
  await lead.getByRole("button", { name: "Sign out" }).click();
  await expect(lead.getByRole("heading", { name: "Sign in" })).toBeVisible();
  await lead.goto("/runs");
  await expect(lead.getByRole("heading", { name: "Sign in" })).toBeVisible();
  await expect(lead.locator("html")).toHaveAttribute("data-theme", "dark");
});

test("a page that is not there says so", async ({ as, look }) => {
  const lead = await as("finance-lead");
  await lead.goto("/nowhere/at/all");
  await expect(lead.getByRole("heading", { name: "There is nothing here" })).toBeVisible();
  await lead.goto("/runs/run_01M82D1707FM9DDSBSW9GFC75S");
  await expect(lead.getByText(/There is no such thing here/)).toBeVisible();
  await look(lead, "absent");
});
