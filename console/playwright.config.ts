import { defineConfig } from "@playwright/test";

const arguments_ = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

const sizes = { desktop: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } };
const themes = ["light", "dark"] as const;

export default defineConfig({
  testDir: "e2e",
  globalSetup: "./e2e/house.ts",
  outputDir: "test-results",
  // One house serves all tests, and sign-ins are throttled: one after the other.
  workers: 1,
  timeout: 180_000,
  expect: { timeout: 10_000 },
  reporter: process.env.CI ? "line" : "list",
  use: {
    launchOptions: { executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: arguments_ },
    trace: "retain-on-failure",
    permissions: ["clipboard-read", "clipboard-write"],
  },
  projects: Object.entries(sizes).flatMap(([size, viewport]) =>
    themes.map((colorScheme) => ({
      name: `${size}-${colorScheme}`,
      use: { viewport, colorScheme, hasTouch: size === "phone", isMobile: size === "phone" },
    })),
  ),
});
