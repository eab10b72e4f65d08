// Which source influenced what: a graph out of the sources that labels carry.

import type { Labels, Stored } from "../api/types";
import type { Story } from "./story";

export interface LineageNode {
  id: string;
  /** What it is: the run's input, what a step's call gave back, or the signed result. */
  kind: "input" | "step" | "artifact";
  title: string;
  step: number | null;
  labels: Labels | null;
  /** What the call was given, when it is a call. */
  given: Labels | null;
  size: number | null;
  /** Ids of everything that influenced it, directly or not. */
  influences: string[];
  layer: number;
  row: number;
}

export interface LineageEdge {
  from: string;
  to: string;
}

export interface Lineage {
  nodes: LineageNode[];
  edges: LineageEdge[];
  layers: number;
  rows: number;
}

/** A source is the bytes that were received, whoever gave them: the digest names it. */
function sourceIds(labels: Labels | undefined | null): string[] {
  return (labels?.sources ?? []).map((source) => source.digest);
}

function node(id: string, kind: LineageNode["kind"], title: string, stored: Stored | undefined): LineageNode {
  return {
    id,
    kind,
    title,
    step: null,
    labels: stored?.labels ?? null,
    given: null,
    size: stored?.size ?? null,
    influences: [],
    layer: 0,
    row: 0,
  };
}

function collect(story: Story): LineageNode[] {
  const nodes: LineageNode[] = [];
  const input = story.start?.details.input;
  if (input !== undefined) {
    nodes.push(node(sourceIds(input.labels)[0] ?? "input", "input", "Input of the run", input));
  }
  for (const step of story.steps) {
    const given = step.decision?.details.arguments;
    const output = step.outcome?.details.output;
    const received = step.outcome?.details.observed?.reply_digest;
    const id = received ?? `step-${step.number}`;
    // Two calls may receive the same bytes; each is drawn, the later one under its own name.
    const taken = nodes.some((one) => one.id === id);
    const made = node(taken ? `step-${step.number}` : id, "step", step.function, output);
    made.step = step.number;
    made.given = given?.labels ?? null;
    made.influences = sourceIds(given?.labels);
    nodes.push(made);
  }
  for (const beat of story.beats) {
    if (beat.kind !== "run" || beat.entry.kind !== "artifact-signed") continue;
    const { labels, name } = beat.entry.details;
    const made = node(
      "artifact",
      "artifact",
      typeof name === "string" ? name : "Signed result",
      labels && { labels },
    );
    made.influences = sourceIds(labels);
    nodes.push(made);
  }
  const known = new Set(nodes.map((one) => one.id));
  // Only what came earlier can have influenced something.
  nodes.forEach((one, n) => {
    const earlier = new Set(nodes.slice(0, n).map((other) => other.id));
    one.influences = [...new Set(one.influences)].filter((id) => known.has(id) && earlier.has(id));
  });
  return nodes;
}

/** Leaves out each edge that a longer way tells already. */
function reduced(nodes: LineageNode[]): LineageEdge[] {
  const byId = new Map(nodes.map((one) => [one.id, one]));
  return nodes.flatMap((one) => {
    const through = new Set(one.influences.flatMap((id) => byId.get(id)?.influences ?? []));
    return one.influences.filter((id) => !through.has(id)).map((from) => ({ from, to: one.id }));
  });
}

/** The graph, with a place for each node: layers by the longest way from a source, rows within a layer. */
export function lineageOf(story: Story): Lineage {
  const nodes = collect(story);
  const byId = new Map(nodes.map((one) => [one.id, one]));
  const filled: number[] = [];
  for (const one of nodes) {
    one.layer = Math.max(0, ...one.influences.map((id) => (byId.get(id)?.layer ?? 0) + 1));
    one.row = filled[one.layer] ?? 0;
    filled[one.layer] = one.row + 1;
  }
  return { nodes, edges: reduced(nodes), layers: filled.length, rows: Math.max(0, ...filled) };
}

/** Everything that a node influenced. */
export function influencedBy(lineage: Lineage, id: string): string[] {
  return lineage.nodes.filter((one) => one.influences.includes(id)).map((one) => one.id);
}
