// The anchor this person pinned: the file they chose, kept in this browser. The server has no way to set it.

import { useQuery } from "@tanstack/react-query";
import { useSyncExternalStore } from "react";
import { readAnchor, type TrustAnchor } from "./anchor";

const KEY = "mandate.trust-anchor";
const listeners = new Set<() => void>();
/** What is pinned where storage is off; it lasts as long as the page. */
let held: string | null = null;

function stored(): string | null {
  try {
    return localStorage.getItem(KEY) ?? held;
  } catch {
    return held;
  }
}

function tell(): void {
  for (const listener of listeners) listener();
}

/** Pins a file, after it was read and found usable. */
export async function pin(file: string): Promise<TrustAnchor> {
  const anchor = await readAnchor(file);
  held = file;
  try {
    localStorage.setItem(KEY, file);
  } catch {
    // Storage is off: pinned for this page.
  }
  tell();
  return anchor;
}

/** Forgets it. */
export function unpin(): void {
  held = null;
  try {
    localStorage.removeItem(KEY);
  } catch {
    // There was nothing to remove.
  }
  tell();
}

/** The pinned anchor, read anew; `null` while there is none, or none that can be used. */
export function usePinned(): { anchor: TrustAnchor | null; isPending: boolean; error: Error | null } {
  const file = useSyncExternalStore((listener) => {
    listeners.add(listener);
    window.addEventListener("storage", listener);
    return () => {
      listeners.delete(listener);
      window.removeEventListener("storage", listener);
    };
  }, stored);
  const read = useQuery({
    queryKey: ["pinned", file],
    queryFn: () => (file === null ? null : readAnchor(file)),
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
  });
  return { anchor: read.data ?? null, isPending: read.isPending, error: read.error };
}

/** A fingerprint in groups that two people can read to each other. */
export function groups(fingerprint: string): string[] {
  return fingerprint.replace(/^sha256:/, "").match(/.{1,8}/g) ?? [];
}
