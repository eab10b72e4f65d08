import { join } from "../ui/join";
import { groups } from "./pinned";

/** A fingerprint, to be compared by eye or read out. */
export function Fingerprint({ of, className }: { of: string; className?: string }) {
  return (
    <code
      aria-label={`Fingerprint ${of}`}
      role="img"
      className={join(
        "grid w-fit grid-cols-2 gap-x-3 gap-y-1 rounded-lg bg-sunken px-3 py-2 text-sm sm:grid-cols-4",
        className,
      )}
    >
      {groups(of).map((group, n) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: groups of one fingerprint never change places.
        <span key={n} aria-hidden>
          {group}
        </span>
      ))}
    </code>
  );
}
