/// <reference types="vitest/config" />
import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

/** The running house that `npm run dev` talks to. */
const house = process.env.MANDATE_URL ?? "http://127.0.0.1:8420";
// The house answers to its own name only, and takes state changes from its own origin only.
const proxied = {
  target: house,
  changeOrigin: true,
  configure: (proxy: {
    on(
      event: "proxyReq",
      then: (request: {
        setHeader(name: string, value: string): void;
        getHeader(name: string): unknown;
      }) => void,
    ): void;
  }) => {
    proxy.on("proxyReq", (request) => {
      if (request.getHeader("origin")) request.setHeader("origin", house);
    });
  },
};

export default defineConfig({
  plugins: [react(), tailwindcss()],
  build: {
    target: "es2024",
    // A policy without `data:` and without inline scripts or styles is what the server sends.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: { port: 5173, strictPort: true, proxy: { "/v1": proxied, "/auth": proxied } },
  test: { include: ["src/**/*.test.ts", "tests/**/*.test.ts"], environment: "node" },
});
