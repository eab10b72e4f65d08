// Requests to the server. State changes carry the session's CSRF token; it lives in memory only.

import type { ProblemBody } from "./types";

/** A problem the server answered with (RFC 9457). */
export class Problem extends Error {
  readonly status: number;
  /** The last part of its type: stable, such as `digest-mismatch`. */
  readonly code: string;
  readonly title: string;
  readonly detail: string;
  readonly decision: string | undefined;
  readonly errors: { pointer: string; message: string }[];

  constructor(status: number, body: Partial<ProblemBody>) {
    super(body.title ?? `The server answered ${status}`);
    this.status = status;
    this.code = (body.type ?? "").split("/").at(-1) ?? "";
    this.title = body.title ?? `The server answered ${status}`;
    this.detail = body.detail ?? "";
    this.decision = body.decision;
    this.errors = body.errors ?? [];
  }
}

let csrf: string | null = null;
let ended: () => void = () => {};

/** The token that state changes carry; `null` when nobody is signed in. */
export function holdToken(token: string | null): void {
  csrf = token;
}

/** What to do when the server says that nobody is signed in any more. */
export function onSessionEnd(then: () => void): void {
  ended = then;
}

async function problemOf(response: Response): Promise<Problem> {
  const type = response.headers.get("content-type") ?? "";
  const body = type.includes("json") ? await response.json().catch(() => ({})) : {};
  return new Problem(response.status, body as Partial<ProblemBody>);
}

async function ask(path: string, init: RequestInit): Promise<Response> {
  const headers = new Headers(init.headers);
  if (!headers.has("accept")) headers.set("accept", "application/json");
  if (init.method !== undefined && init.method !== "GET" && csrf !== null) headers.set("x-csrf-token", csrf);
  const response = await fetch(path, { ...init, headers, credentials: "same-origin", redirect: "error" });
  if (response.ok) return response;
  if (response.status === 401) ended();
  throw await problemOf(response);
}

/** Reads JSON. */
export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await ask(path, signal ? { signal } : {});
  return (await response.json()) as T;
}

/** Reads JSON where the server may not have such a thing: `null` then. */
export async function getOptional<T>(path: string, signal?: AbortSignal): Promise<T | null> {
  try {
    return await get<T>(path, signal);
  } catch (error) {
    if (error instanceof Problem && (error.status === 404 || error.status === 403)) return null;
    throw error;
  }
}

/** Reads bytes, exactly as sent. */
export async function getBytes(path: string): Promise<Uint8Array<ArrayBuffer>> {
  const response = await ask(path, {});
  return new Uint8Array(await response.arrayBuffer());
}

/** Changes something. */
export async function post<T>(path: string, body: unknown, headers: Record<string, string> = {}): Promise<T> {
  const init: RequestInit = { method: "POST", headers: { ...headers } };
  if (body !== undefined) {
    init.headers = { ...headers, "content-type": "application/json" };
    init.body = JSON.stringify(body);
  }
  const response = await ask(path, init);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

/** A path with each part escaped: names from elsewhere can't leave their place in it. */
export function pathTo(parts: TemplateStringsArray, ...names: string[]): string {
  return parts.reduce(
    (path, part, n) => path + part + (n < names.length ? encodeURIComponent(names[n] ?? "") : ""),
    "",
  );
}
