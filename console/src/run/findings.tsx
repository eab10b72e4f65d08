// What went wrong, told from evidence.

import { Clock3, Filter, MessageSquareWarning, Shuffle } from "lucide-react";
import type { Entry, Finding } from "../api/types";
import { Visible } from "../ui/visible";

const causes = {
  "stale-data": { name: "Stale data", Icon: Clock3 },
  "mis-scoped-retrieval": { name: "Retrieved from the wrong scope", Icon: Filter },
  "prompt-injection": { name: "Prompt injection", Icon: MessageSquareWarning },
  "bad-transform": { name: "Bad transformation", Icon: Shuffle },
};

export function Findings({ findings, entries }: { findings: Finding[]; entries: Entry[] }) {
  return (
    <section aria-labelledby="findings" className="mb-8 rounded-card border border-doubt/50 bg-doubt-wash">
      <h2 id="findings" className="px-5 pt-4 text-lg text-doubt">
        {findings.length === 1 ? "One finding" : `${findings.length} findings`}
      </h2>
      <ul className="divide-y divide-doubt/25">
        {findings.map((finding, n) => {
          const cause = causes[finding.cause] ?? { name: finding.cause, Icon: MessageSquareWarning };
          return (
            // biome-ignore lint/suspicious/noArrayIndexKey: findings have no names and never change places.
            <li key={n} className="flex gap-3.5 px-5 py-4">
              <cause.Icon aria-hidden className="mt-0.5 size-5 shrink-0 text-doubt" />
              <div className="min-w-0">
                <h3 className="font-medium">
                  {cause.name}
                  {finding.step !== null ? (
                    <span className="font-normal text-soft"> in step {finding.step}</span>
                  ) : null}
                </h3>
                <p className="text-soft">
                  <Visible text={finding.says} />
                </p>
                <ul aria-label="Evidence" className="mt-2 flex flex-col gap-1 text-sm">
                  {finding.evidence.map(({ seq, entry }) => {
                    const told = entries.find((one) => one.seq === seq);
                    return (
                      <li key={seq} className="text-soft">
                        <a
                          href={`#entry-${seq}`}
                          className="font-mono text-accent underline underline-offset-4"
                        >
                          {entry === null ? `entry ${seq}` : `#${entry}`}
                        </a>{" "}
                        {told ? `${told.kind} ` : ""}
                        {told?.details.function ? <Visible text={told.details.function} /> : null}
                      </li>
                    );
                  })}
                </ul>
              </div>
            </li>
          );
        })}
      </ul>
    </section>
  );
}
