import preact from "@preact/preset-vite";
import { defineConfig } from "vitest/config";

const api = process.env.API ?? "http://127.0.0.1:8000";

export default defineConfig({
  plugins: [preact({ devToolsEnabled: false })],
  build: {
    target: "es2022",
    assetsInlineLimit: 0, // the page's Content-Security-Policy takes no data: fonts or scripts
    license: { fileName: "licenses.md" }, // of the packages whose code is in the bundle: they want to be named with it
    modulePreload: { polyfill: false },
    rollupOptions: { input: { page: "index.html", docs: "docs/index.html" } },
  },
  server: { proxy: { "/v1": api, "/openapi.json": api } },
  // A context of its own for each file, as cheap as none.
  test: { environment: "happy-dom", pool: "vmForks", include: ["src/**/*.test.{ts,tsx}"] },
});
