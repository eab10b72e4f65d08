// A JSON value, shown to be read: names and values on lines of their own, nothing cut, nothing interpreted.

import type { Json } from "../verify/canonical";
import { join } from "./join";
import { Visible } from "./visible";

/** Long texts and nested values come after what is read at a glance. */
function shortFirst(entries: [string, Json][]): [string, Json][] {
  const isLong = (one: Json) =>
    typeof one === "string"
      ? one.includes("\n") || one.length > 160
      : one !== null && typeof one === "object";
  return [...entries.filter(([, one]) => !isLong(one)), ...entries.filter(([, one]) => isLong(one))];
}

function Value({ value, depth }: { value: Json; depth: number }) {
  if (value === null) return <span className="text-faint">none</span>;
  if (typeof value === "boolean")
    return <span className="font-mono text-[0.875em]">{value ? "yes" : "no"}</span>;
  if (typeof value === "number")
    return <span className="font-mono text-[0.875em] tabular-nums">{String(value)}</span>;
  if (typeof value === "string") {
    return value === "" ? <span className="text-faint">empty</span> : <Visible text={value} lines />;
  }
  const entries: [string, Json][] = Array.isArray(value)
    ? value.map((one, n) => [`${n + 1}`, one])
    : shortFirst(Object.entries(value));
  if (entries.length === 0) return <span className="text-faint">empty</span>;
  return (
    <dl className={join("flex flex-col gap-2", depth > 0 && "border-l-2 border-line pl-3")}>
      {entries.map(([name, one]) => {
        const nested = one !== null && typeof one === "object";
        return (
          <div key={name} className={nested ? "flex flex-col gap-1" : "flex flex-col gap-x-4 sm:flex-row"}>
            <dt className="eyebrow shrink-0 pt-px sm:w-36">
              <Visible text={name} />
            </dt>
            <dd className="min-w-0 flex-1">
              <Value value={one} depth={depth + 1} />
            </dd>
          </div>
        );
      })}
    </dl>
  );
}

/** A value for people. */
export function JsonView({ value }: { value: Json }) {
  return <Value value={value} depth={0} />;
}

/** A value as JSON text, indented. */
export function JsonText({ value, className }: { value: unknown; className?: string }) {
  return (
    <pre
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard.
      tabIndex={0}
      className={join(
        "overflow-x-auto rounded-lg bg-sunken p-3 font-mono text-xs leading-relaxed text-soft",
        className,
      )}
    >
      <Visible text={JSON.stringify(value, null, 2)} lines className="whitespace-pre!" />
    </pre>
  );
}
