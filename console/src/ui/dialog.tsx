// Dialogs on Radix. The backdrop is our own: Radix's would inject a style element, which the content
// security policy refuses, and a style sheet locks the scrolling just as well.

import { X } from "lucide-react";
import { AlertDialog as RadixAlert, Dialog as RadixDialog } from "radix-ui";
import type { ReactNode } from "react";
import { join } from "./join";

const backdrop = "fixed inset-0 z-40 bg-[#05070b]/55";
const panel =
  "appear fixed z-50 flex max-h-[85dvh] flex-col overflow-hidden border border-line bg-raised shadow-2xl outline-none " +
  "inset-x-0 bottom-0 rounded-t-2xl sm:inset-auto sm:left-1/2 sm:top-1/2 sm:w-full sm:-translate-x-1/2 sm:-translate-y-1/2 sm:rounded-2xl";

/** A dialog to look at something; Escape and the cross close it. */
export function Dialog({
  open,
  onOpenChange,
  title,
  lead,
  children,
}: {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  title: string;
  lead?: string;
  children: ReactNode;
}) {
  return (
    <RadixDialog.Root open={open} onOpenChange={onOpenChange}>
      <RadixDialog.Portal>
        <div aria-hidden data-scroll-lock className={backdrop} />
        <RadixDialog.Content
          className={join(panel, "sm:max-w-lg")}
          {...(lead ? {} : { "aria-describedby": undefined })}
        >
          <div className="flex items-start justify-between gap-4 border-b border-line px-5 py-4">
            <div>
              <RadixDialog.Title className="text-lg">{title}</RadixDialog.Title>
              {lead ? (
                <RadixDialog.Description className="text-sm text-soft">{lead}</RadixDialog.Description>
              ) : null}
            </div>
            <RadixDialog.Close
              className="grid size-8 shrink-0 place-items-center rounded-lg text-soft hover:bg-sunken"
              aria-label="Close"
            >
              <X aria-hidden className="size-4.5" />
            </RadixDialog.Close>
          </div>
          <div className="overflow-y-auto px-5 py-4">{children}</div>
        </RadixDialog.Content>
      </RadixDialog.Portal>
    </RadixDialog.Root>
  );
}

/** A question that must be answered. */
export function Confirm({
  open,
  onOpenChange,
  title,
  children,
  actions,
}: {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  title: string;
  children: ReactNode;
  actions: ReactNode;
}) {
  return (
    <RadixAlert.Root open={open} onOpenChange={onOpenChange}>
      <RadixAlert.Portal>
        <div aria-hidden data-scroll-lock className={backdrop} />
        <RadixAlert.Content className={join(panel, "sm:max-w-md")}>
          <div className="overflow-y-auto px-5 pt-5">
            <RadixAlert.Title className="text-lg">{title}</RadixAlert.Title>
            <RadixAlert.Description asChild>
              <div className="mt-2 text-soft">{children}</div>
            </RadixAlert.Description>
          </div>
          <div className="flex flex-col-reverse gap-2.5 px-5 py-5 sm:flex-row sm:justify-end">{actions}</div>
        </RadixAlert.Content>
      </RadixAlert.Portal>
    </RadixAlert.Root>
  );
}

export const ConfirmCancel = RadixAlert.Cancel;
