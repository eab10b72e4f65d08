// Starts the development house before the tests, and ends it after them.

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() =>
        address && typeof address === "object" ? resolve(address.port) : reject(new Error("no port")),
      );
    });
  });
}

/** The line of JSON that the house prints when it is ready. */
function readyLine(house: ChildProcess): Promise<{ url: string; trust: string }> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error("the house did not get ready in a minute")), 60_000);
    house.once("exit", (code) => reject(new Error(`the house ended with ${code}; see its messages above`)));
    if (house.stdout === null) return reject(new Error("the house has no output"));
    createInterface({ input: house.stdout }).once("line", (line) => {
      clearTimeout(late);
      resolve(JSON.parse(line));
    });
  });
}

export default async function start(): Promise<() => Promise<void>> {
  const program = process.env.MANDATE_BIN ?? "../target/debug/mandate";
  const folder = mkdtempSync(join(tmpdir(), "mandate-e2e-"));
  const port = await freePort();
  const house = spawn(program, ["dev", "--port", `${port}`, "--data-dir", folder, "--no-open"], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, RUST_LOG: process.env.RUST_LOG ?? "error" },
  });
  const { url, trust } = await readyLine(house);
  process.env.HOUSE_URL = url;
  process.env.HOUSE_TRUST = trust;
  return async () => {
    const ended = new Promise((resolve) => house.once("exit", resolve));
    house.kill("SIGTERM");
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
}
