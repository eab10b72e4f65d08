// Tells what the shortcuts are, and turns them on or off.

import { useState } from "react";
import { Dialog } from "../ui/dialog";
import { shortcutsOn, turnShortcuts } from "./shortcuts";

const SHORTCUTS: { keys: string[]; does: string }[] = [
  { keys: ["g", "r"], does: "Go to runs" },
  { keys: ["g", "a"], does: "Go to approvals" },
  { keys: ["g", "t"], does: "Go to the trust anchor" },
  { keys: ["n"], does: "Start a run" },
  { keys: ["j"], does: "Next in a list" },
  { keys: ["k"], does: "Previous in a list" },
  { keys: ["?"], does: "Show this" },
];

export function ShortcutsDialog({ onOpenChange }: { onOpenChange: (open: boolean) => void }) {
  const [on, setOn] = useState(shortcutsOn);
  const turn = (next: boolean) => {
    setOn(next);
    turnShortcuts(next);
  };
  return (
    <Dialog open onOpenChange={onOpenChange} title="Keyboard shortcuts">
      <dl className="flex flex-col divide-y divide-line">
        {SHORTCUTS.map(({ keys, does }) => (
          <div key={does} className="flex items-center justify-between gap-6 py-2.5">
            <dt>{does}</dt>
            <dd className="flex gap-1.5">
              {keys.map((key) => (
                <kbd
                  key={key}
                  className="min-w-7 rounded-md border border-line bg-sunken px-2 py-0.5 text-center text-sm"
                >
                  {key}
                </kbd>
              ))}
            </dd>
          </div>
        ))}
      </dl>
      <label className="mt-4 flex items-center gap-3 text-soft">
        <input
          type="checkbox"
          checked={on}
          onChange={(event) => turn(event.target.checked)}
          className="size-4 accent-accent"
        />
        Single-key shortcuts are on
      </label>
    </Dialog>
  );
}
