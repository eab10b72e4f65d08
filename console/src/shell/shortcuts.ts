// Keyboard shortcuts: single keys, so they can be turned off (WCAG 2.1.4), and never act while one writes.

import { useRouter } from "@tanstack/react-router";
import { useEffect, useEffectEvent, useRef } from "react";

const KEY = "mandate.shortcuts";
let held = true;

/** Whether single-key shortcuts act. */
export function shortcutsOn(): boolean {
  try {
    return localStorage.getItem(KEY) !== "off" && held;
  } catch {
    return held;
  }
}

/** Turns them on or off, now and for later visits. */
export function turnShortcuts(on: boolean): void {
  held = on;
  try {
    localStorage.setItem(KEY, on ? "on" : "off");
  } catch {
    // Storage is off: it holds for this page.
  }
}

function isWriting(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement && target.closest("input, textarea, select, [contenteditable]") !== null
  );
}

/** Moves the focus along the rows of the page's list. */
function step(by: number): void {
  const rows = [...document.querySelectorAll<HTMLElement>("[data-row]")];
  const at = rows.indexOf(document.activeElement as HTMLElement);
  rows[Math.min(rows.length - 1, Math.max(0, at < 0 ? 0 : at + by))]?.focus();
}

/** Listens for the shortcuts; `onHelp` shows what they are. */
export function useShortcuts(onHelp: () => void): void {
  const router = useRouter();
  const first = useRef<{ key: string; at: number } | null>(null);
  const act = useEffectEvent((event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isWriting(event.target) || !shortcutsOn()) return;
    if (document.querySelector("[role=dialog], [role=alertdialog]") !== null) return;
    const led = first.current !== null && Date.now() - first.current.at < 1200 ? first.current.key : "";
    first.current = event.key === "g" ? { key: "g", at: Date.now() } : null;
    const to = { r: "/runs", a: "/approvals", t: "/trust" }[event.key];
    if (led === "g" && to !== undefined) void router.navigate({ to });
    else if (event.key === "n") void router.navigate({ to: "/runs/new" });
    else if (event.key === "j") step(1);
    else if (event.key === "k") step(-1);
    else if (event.key === "?") onHelp();
    else return;
    event.preventDefault();
  });
  useEffect(() => {
    const listen = (event: KeyboardEvent) => act(event);
    window.addEventListener("keydown", listen);
    return () => window.removeEventListener("keydown", listen);
  }, []);
}
