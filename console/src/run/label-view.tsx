// Labels, for people to see.

import { BadgeCheck, Eye, EyeOff, Lock, ShieldAlert, Sigma, Users } from "lucide-react";
import type { Labels } from "../api/types";
import { join } from "../ui/join";
import { Visible } from "../ui/visible";
import { readersText, secrecy } from "./labels";

const secrecyLooks = [
  "border-line bg-sunken text-soft",
  "border-accent/35 bg-accent-wash text-accent",
  "border-warn/45 bg-warn-wash text-warn",
  "border-bad/45 bg-bad-wash text-bad",
];
const secrecyIcons = [Eye, EyeOff, EyeOff, Lock];
const trustLooks = {
  authoritative: { Icon: BadgeCheck, look: "border-ok/40 bg-ok-wash text-ok", says: "authoritative" },
  derived: { Icon: Sigma, look: "border-line bg-sunken text-soft", says: "derived" },
  untrusted: { Icon: ShieldAlert, look: "border-doubt/40 bg-doubt-wash text-doubt", says: "untrusted" },
};

const chip = "inline-flex max-w-full items-center gap-1.5 rounded-md border px-1.5 py-px text-sm";

/** Confidentiality and integrity; with `all`, readers and kinds of data too. */
export function LabelView({ labels, all = false }: { labels: Labels; all?: boolean }) {
  const Secrecy = secrecyIcons[secrecy(labels)] ?? Lock;
  const trusted = trustLooks[labels.integrity] ?? trustLooks.untrusted;
  return (
    <span className="inline-flex max-w-full flex-wrap gap-1.5">
      <span className={join(chip, secrecyLooks[secrecy(labels)])}>
        <Secrecy aria-hidden className="size-3.5" />
        {labels.confidentiality}
      </span>
      <span className={join(chip, trusted.look)}>
        <trusted.Icon aria-hidden className="size-3.5" />
        {trusted.says}
      </span>
      {all ? (
        <>
          <span className={join(chip, "border-line bg-sunken text-soft")}>
            <Users aria-hidden className="size-3.5 shrink-0" />
            <span>
              <span className="sr-only">readers: </span>
              <Visible text={readersText(labels.readers)} />
            </span>
          </span>
          {(labels.categories ?? []).map((category) => (
            <span key={category} className={join(chip, "border-line bg-sunken text-soft")}>
              <Visible text={category} />
            </span>
          ))}
        </>
      ) : null}
    </span>
  );
}
