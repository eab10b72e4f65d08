// How values are said: times, lengths of time, names, digests.

const clock = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long", hourCycle: "h23" });
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

/** `14:03:12`, with the day when it is not today. */
export function shortTime(at: string, now = Date.now()): string {
  const when = new Date(at);
  const today = when.toDateString() === new Date(now).toDateString();
  return today ? clock.format(when) : `${day.format(when)}, ${clock.format(when)}`;
}

export function fullTime(at: string): string {
  return full.format(new Date(at));
}

/** `3 minutes ago`, `in 2 hours`. */
export function ago(at: string, now = Date.now()): string {
  const seconds = Math.round((Date.parse(at) - now) / 1000);
  const units: [Intl.RelativeTimeFormatUnit, number][] = [
    ["day", 86_400],
    ["hour", 3600],
    ["minute", 60],
  ];
  for (const [unit, size] of units) {
    if (Math.abs(seconds) >= size) return relative.format(Math.trunc(seconds / size), unit);
  }
  return Math.abs(seconds) < 5 ? "just now" : relative.format(seconds, "second");
}

/** A length of time: `46 ms`, `12.4 s`, `3 min 20 s`, `23 h 59 min`. */
export function lasting(milliseconds: number): string {
  const ms = Math.max(0, Math.round(milliseconds));
  if (ms < 1000) return `${ms} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0).replace(/\.0$/, "")} s`;
  const two = (big: number, bigUnit: string, small: number, smallUnit: string) =>
    small === 0 ? `${big} ${bigUnit}` : `${big} ${bigUnit} ${small} ${smallUnit}`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return two(minutes, "min", Math.floor((ms % 60_000) / 1000), "s");
  if (minutes < 2880) return two(Math.floor(minutes / 60), "h", minutes % 60, "min");
  return two(Math.floor(minutes / 1440), "d", Math.floor((minutes % 1440) / 60), "h");
}

/** What a subject is and what it is called: `user:finance-lead`. */
export function subject(text: string): { kind: string; name: string } {
  const cut = text.indexOf(":");
  return cut < 0 ? { kind: "", name: text } : { kind: text.slice(0, cut), name: text.slice(cut + 1) };
}

/** `sha256:58f9…37ed`, short enough to read and to compare at a glance. */
export function shortDigest(digest: string): string {
  const value = digest.replace(/^sha256:/, "");
  return value.length <= 14 ? value : `${value.slice(0, 8)}…${value.slice(-4)}`;
}

/** `run_01M8…C75S` */
export function shortId(id: string): string {
  return id.length <= 14 ? id : `${id.slice(0, 8)}…${id.slice(-4)}`;
}

/** Size of a value. */
export function size(bytes: number): string {
  return bytes < 1024 ? `${bytes} B` : `${(bytes / 1024).toFixed(1)} KiB`;
}

/** One, or many. */
export function count(n: number, one: string, many = `${one}s`): string {
  return `${n} ${n === 1 ? one : many}`;
}
