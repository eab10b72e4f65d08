// The run's ledger entries, each with its place in the log and everything it says.

import { ChevronRight } from "lucide-react";
import { useEffect, useState } from "react";
import type { Entry } from "../api/types";
import { JsonText } from "../ui/json";
import { Card, Subject, Time } from "../ui/parts";
import { Visible } from "../ui/visible";

/** The entry the address names, opened. */
function useTarget(): string {
  const [target, setTarget] = useState(() => window.location.hash);
  useEffect(() => {
    const listen = () => setTarget(window.location.hash);
    window.addEventListener("hashchange", listen);
    return () => window.removeEventListener("hashchange", listen);
  }, []);
  return target;
}

export function LedgerList({ entries }: { entries: Entry[] }) {
  const target = useTarget();
  useEffect(() => {
    const found = target.startsWith("#entry-") ? document.getElementById(target.slice(1)) : null;
    if (found instanceof HTMLDetailsElement) {
      found.open = true;
      found.scrollIntoView({ block: "start" });
    }
  }, [target]);
  return (
    <Card className="overflow-hidden">
      <ol className="divide-y divide-line">
        {entries.map((entry) => (
          <li key={entry.seq ?? entry.index}>
            <details id={`entry-${entry.seq}`} className="group scroll-mt-24">
              <summary className="grid grid-cols-[1rem_3.25rem_minmax(0,1fr)_auto] items-baseline gap-x-3 px-4 py-3 hover:bg-sunken sm:px-5">
                <ChevronRight
                  aria-hidden
                  className="size-4 shrink-0 self-center text-faint transition-transform group-open:rotate-90"
                />
                <span className="font-mono text-sm tabular-nums text-faint" title="Index in the log">
                  {entry.index === null ? "not yet" : `#${entry.index}`}
                </span>
                <span className="flex min-w-0 flex-wrap items-baseline gap-x-3">
                  <span className="font-medium">{entry.unreadable ? "unreadable" : entry.kind}</span>
                  {entry.details?.function ? (
                    <Visible text={entry.details.function} className="text-sm text-soft" />
                  ) : null}
                </span>
                <span className="flex items-baseline gap-4 text-sm text-soft">
                  <span className="hidden sm:inline">
                    <Subject of={entry.actor ?? ""} />
                  </span>
                  <Time at={entry.time} />
                </span>
              </summary>
              <div className="px-4 pb-4 sm:px-5">
                {entry.unreadable ? (
                  <p className="text-bad">{entry.unreadable}</p>
                ) : (
                  <JsonText value={entry.details} className="max-h-128 overflow-y-auto" />
                )}
              </div>
            </details>
          </li>
        ))}
      </ol>
    </Card>
  );
}
