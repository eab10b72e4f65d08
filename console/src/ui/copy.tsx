// A value that is long and exact: shown short, copied whole.

import { Check, Copy as CopyIcon } from "lucide-react";
import { useEffect, useState } from "react";
import { shortDigest, shortId } from "../text/say";
import { join } from "./join";

/** A digest or id, shortened; the button copies it whole. */
export function Exact({
  value,
  full = false,
  className,
}: {
  value: string;
  full?: boolean;
  className?: string;
}) {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), 1600);
    return () => clearTimeout(timer);
  }, [copied]);
  const short = value.startsWith("sha256:") ? shortDigest(value) : shortId(value);
  return (
    <button
      type="button"
      title={value}
      aria-label={`Copy ${value}`}
      onClick={() => void navigator.clipboard.writeText(value).then(() => setCopied(true))}
      className={join(
        "group -mx-1 inline-flex min-h-6 max-w-full items-center gap-1.5 rounded px-1 text-left font-mono text-[0.8125rem] text-soft hover:bg-sunken hover:text-ink",
        className,
      )}
    >
      <span className={full ? "break-all" : "truncate"}>{full ? value : short}</span>
      {copied ? (
        <Check aria-hidden className="size-3.5 shrink-0 text-ok" />
      ) : (
        <CopyIcon aria-hidden className="size-3.5 shrink-0 opacity-55 group-hover:opacity-100" />
      )}
      <span className="sr-only" aria-live="polite">
        {copied ? "Copied" : ""}
      </span>
    </button>
  );
}
