// Buttons, and links that look like them.

import { Slot } from "radix-ui";
import type { ComponentProps } from "react";
import { join } from "./join";

type Look = "primary" | "plain" | "quiet" | "danger";

const looks: Record<Look, string> = {
  primary: "bg-accent text-on-accent hover:bg-accent-strong border-transparent",
  plain: "bg-surface text-ink border-line-strong/60 hover:border-line-strong hover:bg-sunken",
  quiet: "bg-transparent text-soft border-transparent hover:bg-sunken hover:text-ink",
  danger: "bg-surface text-bad border-bad/60 hover:bg-bad-wash",
};

/** A button. `asChild` puts its look on the one child, such as a link. */
export function Button({
  look = "plain",
  small = false,
  asChild = false,
  className,
  ...rest
}: ComponentProps<"button"> & { look?: Look; small?: boolean; asChild?: boolean }) {
  const Element = asChild ? Slot.Root : "button";
  return (
    <Element
      {...(asChild ? {} : { type: rest.type ?? "button" })}
      {...rest}
      className={join(
        "inline-flex select-none items-center justify-center gap-2 whitespace-nowrap rounded-lg border font-medium transition-colors",
        "disabled:opacity-55 aria-disabled:opacity-55",
        small ? "min-h-8 px-2.5 text-sm" : "min-h-10 px-4 text-base",
        looks[look],
        className,
      )}
    />
  );
}
