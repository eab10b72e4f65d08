// Fails when the console outgrows its limits: what a first visit loads, and everything together, gzipped.
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const INITIAL = 150;
const ALL = 500;
const dist = new URL("../dist", import.meta.url).pathname;
if (!existsSync(dist)) {
  console.error("size: there is no build; run `npm run build` first");
  process.exit(1);
}
const size = (path) => {
  const bytes = readFileSync(path);
  return /\.(woff2|png)$/.test(path) ? bytes.length : gzipSync(bytes, { level: 9 }).length;
};
const files = readdirSync(dist, { recursive: true })
  .filter((name) => !name.endsWith(".gz") && statSync(join(dist, name)).isFile())
  .map((name) => ({ name, bytes: size(join(dist, name)) }));

// What index.html names, what those modules import statically, and the first view. Fonts are swapped in
// afterwards, so that nothing waits for them: they count in everything.
const html = readFileSync(join(dist, "index.html"), "utf8");
const initial = new Set(["index.html"]);
const queue = [...html.matchAll(/(?:src|href)="\/([^"]+)"/g)].map((found) => found[1]);
while (queue.length > 0) {
  const name = queue.pop();
  if (initial.has(name)) continue;
  initial.add(name);
  if (!name.endsWith(".js")) continue;
  const text = readFileSync(join(dist, name), "utf8");
  for (const [, path] of text.matchAll(
    /(?:^|[;}])(?:import|export)(?:[^"'()]*?from)?["']\.\/([^"']+)["']/g,
  )) {
    queue.push(join(name, "..", path));
  }
}
// The first view is the list of runs, behind a dynamic import of its own.
for (const { name } of files) {
  if (/assets\/(runs|states|field)-.*\.js$/.test(name)) initial.add(name);
}

const kilobytes = (list) => list.reduce((sum, file) => sum + file.bytes, 0) / 1000;
const first = kilobytes(files.filter((file) => initial.has(file.name)));
// One visitor loads one script's worth of a font; the other alphabets are there for names that need them.
const everything = kilobytes(files);
for (const { name, bytes } of files.sort((a, b) => b.bytes - a.bytes)) {
  console.log(
    `${(bytes / 1000).toFixed(1).padStart(8)} kB  ${initial.has(name) ? "first" : "     "}  ${name}`,
  );
}
console.log(
  `size: first visit ${first.toFixed(1)} of ${INITIAL} kB, everything ${everything.toFixed(1)} of ${ALL} kB, gzipped`,
);
if (first > INITIAL || everything > ALL) process.exit(1);
