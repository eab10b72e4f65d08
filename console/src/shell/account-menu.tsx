// The account menu: who one is here, the theme, the way out. Loaded when it is first wanted.

import { Link } from "@tanstack/react-router";
import { Fingerprint, Keyboard, LogOut, Monitor, Moon, Sun } from "lucide-react";
import { Popover } from "radix-ui";
import { useState } from "react";
import type { Session } from "../api/types";
import { signOut } from "../session/session";
import { join } from "../ui/join";
import { Failure } from "../ui/parts";
import { Visible } from "../ui/visible";
import { AccountFace, accountLook } from "./account-face";
import { chooseTheme, THEMES, useTheme } from "./theme";

const themeIcons = { system: Monitor, light: Sun, dark: Moon };
const themeNames = { system: "System", light: "Light", dark: "Dark" };

function ThemeSwitch() {
  const theme = useTheme();
  return (
    <fieldset className="flex rounded-lg border border-line bg-sunken p-0.5">
      <legend className="sr-only">Theme</legend>
      {THEMES.map((one) => {
        const Icon = themeIcons[one];
        return (
          <label
            key={one}
            className={join(
              "relative flex min-h-8 flex-1 items-center justify-center gap-1.5 rounded-md px-2 text-sm has-focus-visible:outline-2 has-focus-visible:outline-accent",
              theme === one ? "bg-surface font-medium text-ink shadow-card" : "text-soft hover:text-ink",
            )}
          >
            <input
              type="radio"
              name="theme"
              className="sr-only"
              checked={theme === one}
              onChange={() => chooseTheme(one)}
            />
            <Icon aria-hidden className="size-4" />
            {themeNames[one]}
          </label>
        );
      })}
    </fieldset>
  );
}

/** Opens at once: it was asked for. */
export function AccountMenu({ session, onShortcuts }: { session: Session; onShortcuts: () => void }) {
  const [open, setOpen] = useState(true);
  const [failure, setFailure] = useState<unknown>(null);
  const item =
    "flex min-h-9 w-full items-center gap-2.5 rounded-lg px-2.5 text-left text-soft hover:bg-sunken hover:text-ink";
  return (
    <Popover.Root open={open} onOpenChange={setOpen}>
      <Popover.Trigger
        className={accountLook}
        aria-label={`Account: ${session.name}, tenant ${session.tenant}`}
      >
        <AccountFace session={session} />
      </Popover.Trigger>
      <Popover.Portal>
        <Popover.Content
          align="end"
          sideOffset={6}
          collisionPadding={12}
          aria-label="Account"
          className="appear z-30 w-72 rounded-card border border-line bg-raised p-2 shadow-2xl outline-none"
        >
          <div className="px-2.5 pb-3 pt-2">
            <p className="font-medium">
              <Visible text={session.name} />
            </p>
            <p className="text-sm text-soft">
              Tenant <Visible text={session.tenant} />
            </p>
            <p className="mt-1 text-sm text-soft">
              Groups: {session.groups.length > 0 ? session.groups.join(", ") : "none"}
            </p>
          </div>
          <ThemeSwitch />
          <div className="mt-2 border-t border-line pt-2">
            <Link to="/trust" className={item} onClick={() => setOpen(false)}>
              <Fingerprint aria-hidden className="size-4" /> Trust anchor
            </Link>
            <button
              type="button"
              className={item}
              onClick={() => {
                setOpen(false);
                onShortcuts();
              }}
            >
              <Keyboard aria-hidden className="size-4" /> Keyboard shortcuts
            </button>
            <button type="button" className={item} onClick={() => void signOut().catch(setFailure)}>
              <LogOut aria-hidden className="size-4" /> Sign out
            </button>
          </div>
          {failure ? <Failure error={failure} /> : null}
        </Popover.Content>
      </Popover.Portal>
    </Popover.Root>
  );
}
