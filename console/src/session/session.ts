// Signing in and out. The session itself is a cookie that no script can read.

import { post } from "../api/client";

/** A path of this site to come back to; anything else leads to the start page. */
export function safeReturn(path: string | undefined): string {
  if (path === undefined || !/^\/(?![/\\])/.test(path) || path.length > 2000) return "/";
  // The parser has the last word: what leaves this origin is not a path.
  const parsed = new URL(path, "http://here.invalid");
  if (parsed.origin !== "http://here.invalid" || parsed.pathname.startsWith("/sign-in")) return "/";
  return parsed.pathname + parsed.search + parsed.hash;
}

/** Where a sign-in begins. */
export function signInAt(tenant: string, returnTo: string | undefined): string {
  return `/auth/login?${new URLSearchParams({ tenant, return_to: safeReturn(returnTo) })}`;
}

/** Ends the session here and on the server, and forgets everything that was read in it. */
export async function signOut(): Promise<void> {
  await post<void>("/auth/logout", undefined);
  // A new page holds nothing of what was read.
  window.location.replace("/sign-in");
}
