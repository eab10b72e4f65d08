// How authority narrows: what the run holds, and what of it each hop carries.

import type { ArgumentLimit, Authority, Details } from "../api/types";
import type { Story } from "./story";

/** What a hop carries of one dimension: kept, and what of the run's was left behind. */
export interface Narrowing {
  kept: string[];
  dropped: string[];
}

export interface Hop {
  step: number;
  function: string;
  /** Where its authority comes from. */
  root: "initiator" | "grant" | "none";
  model: string;
  legacy: boolean;
  admitted: boolean;
  /** Not let through yet: it waits for somebody. */
  waits: boolean;
  destination: string;
  audience: string | null;
  scopes: Narrowing;
  audiences: Narrowing;
  functions: Narrowing;
  limits: { at: string; says: string }[];
  /** How long the token is good for, from the decision. */
  lifetime: number | null;
  depth: number | null;
  grant: string | null;
  owner: string | null;
  credential: { name: string; version: number | null } | null;
  lease: string | null;
  leaseEnded: boolean;
  jti: string | null;
  decision: string | null;
}

export interface AuthorityView {
  initiator: string;
  groups: string[];
  run: Authority | null;
  /** How long the run's authority lasts, from its start. */
  lifetime: number | null;
  hops: Hop[];
}

function narrow(parent: string[], child: string[]): Narrowing {
  return { kept: child, dropped: parent.filter((one) => !child.includes(one)) };
}

/** A limit on an argument, in words. What is not understood is shown as it stands, never left out. */
export function limitText(limit: ArgumentLimit): string {
  const given = limit as Record<string, unknown>;
  const [name] = Object.keys(given);
  const value = name === undefined ? undefined : given[name];
  const said = JSON.stringify(value);
  if (name === "equals") return `is ${said}`;
  if (name === "prefix") return `begins with ${said}`;
  if (name === "set" && Array.isArray(value))
    return `is one of ${value.map((one) => JSON.stringify(one)).join(", ")}`;
  if (name === "range" && value !== null && typeof value === "object") {
    const { min, max } = value as { min?: unknown; max?: unknown };
    if (min !== undefined && max !== undefined)
      return `from ${JSON.stringify(min)} to ${JSON.stringify(max)}`;
    if (min !== undefined) return `at least ${JSON.stringify(min)}`;
    if (max !== undefined) return `at most ${JSON.stringify(max)}`;
  }
  return JSON.stringify(limit);
}

function credentialOf(details: Details): Hop["credential"] {
  const given = details.credential;
  if (given === null || given === undefined) return null;
  return typeof given === "string"
    ? { name: given, version: null }
    : { name: given.name, version: given.version };
}

/** Reads the authority of a run out of its story. */
export function authorityOf(story: Story): AuthorityView {
  const start = story.start;
  const run = (start?.details.authority as Authority | undefined) ?? null;
  const view: AuthorityView = {
    initiator: start?.actor ?? "",
    groups: start?.details.groups ?? [],
    run,
    lifetime: run !== null && start !== null ? run.not_after - Date.parse(start.time) : null,
    hops: [],
  };
  for (const step of story.steps) {
    const entry = step.decision;
    if (entry === null) continue;
    const details = entry.details;
    const token = details.token?.authority ?? null;
    const root = details.authority?.root;
    view.hops.push({
      step: step.number,
      function: step.function,
      root: root === "initiator" || root === "grant" ? root : "none",
      model: details.model ?? "",
      legacy: details.legacy === true,
      admitted: details.status === "allow",
      waits: details.status !== "allow" && details.status !== "deny",
      destination: details.request?.destination ?? "",
      audience: details.request?.audience ?? null,
      scopes: narrow(run?.scopes ?? [], token?.scopes ?? []),
      audiences: narrow(run?.audiences ?? [], token?.audiences ?? []),
      functions: narrow(Object.keys(run?.functions ?? {}), Object.keys(token?.functions ?? {})),
      limits: Object.values(token?.functions ?? {}).flatMap((limits) =>
        Object.entries(limits).map(([at, limit]) => ({ at, says: limitText(limit) })),
      ),
      lifetime: token === null ? null : token.not_after - Date.parse(entry.time),
      depth: token?.depth ?? null,
      grant: details.authority?.grant ?? null,
      owner: details.authority?.owner ?? null,
      credential: credentialOf(details),
      lease: details.lease ?? null,
      leaseEnded: step.entries.some((one) => one.kind === "lease-ended"),
      jti: details.token?.jti ?? null,
      decision: details.decision ?? null,
    });
  }
  return view;
}

/** Whether every hop holds no more than the run: what the ladder draws must be true. */
export function widened(view: AuthorityView): string[] {
  const run = view.run;
  if (run === null) return [];
  return view.hops.flatMap((hop) => {
    const more: string[] = [];
    const beyond = (kept: string[], held: string[]) => kept.filter((one) => !held.includes(one));
    more.push(...beyond(hop.scopes.kept, run.scopes).map((scope) => `step ${hop.step}: scope ${scope}`));
    more.push(...beyond(hop.audiences.kept, run.audiences).map((to) => `step ${hop.step}: audience ${to}`));
    if (hop.depth !== null && hop.depth >= run.depth) more.push(`step ${hop.step}: depth ${hop.depth}`);
    if (hop.lifetime !== null && view.lifetime !== null && hop.lifetime > view.lifetime) {
      more.push(`step ${hop.step}: lifetime`);
    }
    return more;
  });
}
