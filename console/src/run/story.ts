// A run told from its ledger entries: what happened, step by step, attempt by attempt.

import type { Details, Entry } from "../api/types";

export type StepState =
  | "admitted"
  | "succeeded"
  | "failed"
  | "retrying"
  | "refused"
  | "waiting"
  | "denied"
  | "expired"
  | "in-doubt"
  | "resolved"
  | "stopped";

/** One try at a step: its decision, and what came of it. */
export interface Attempt {
  number: number;
  decision: Entry | null;
  outcome: Entry | null;
}

export interface Step {
  number: number;
  function: string;
  path: string;
  state: StepState;
  attempts: Attempt[];
  /** Everything about this step, in order. */
  entries: Entry[];
  /** The latest decision. */
  decision: Entry | null;
  outcome: Entry | null;
  startedAt: string;
  endedAt: string | null;
}

/** What a timeline shows, in order: the run's own events, and its steps where they began. */
export type Beat = { kind: "run"; entry: Entry } | { kind: "step"; step: Step };

export interface Story {
  beats: Beat[];
  steps: Step[];
  start: Entry | null;
  end: Entry | null;
}

const ENDINGS = new Set(["run-completed", "run-refused", "run-faulted", "run-cancelled", "run-killed"]);

const AFTER: Record<string, StepState> = {
  "step-succeeded": "succeeded",
  "step-failed": "failed",
  "step-in-doubt": "in-doubt",
  "step-resolved": "resolved",
  "approval-requested": "waiting",
  "approval-given": "admitted",
  "approval-denied": "denied",
  "approval-expired": "expired",
};

function stateAfter(entry: Entry, before: StepState): StepState {
  if (entry.kind === "step-decided") {
    if (entry.details.status === "allow") return "admitted";
    return entry.details.status === "deny" ? "refused" : "waiting";
  }
  if (entry.kind === "step-failed" && entry.details.final === false) return "retrying";
  return AFTER[entry.kind] ?? before;
}

/** The step an entry is about, if it is about one. */
export function stepNumber(entry: Entry): number | null {
  return typeof entry.details.step === "number" ? entry.details.step : null;
}

function newStep(number: number, entry: Entry): Step {
  return {
    number,
    function: "",
    path: "",
    state: "admitted",
    attempts: [],
    entries: [],
    decision: null,
    outcome: null,
    startedAt: entry.time,
    endedAt: null,
  };
}

function take(step: Step, entry: Entry): void {
  step.entries.push(entry);
  step.function = entry.details.function ?? step.function;
  step.path = entry.details.path ?? step.path;
  step.state = stateAfter(entry, step.state);
  const number = entry.details.attempt ?? step.attempts.at(-1)?.number ?? 1;
  let attempt = step.attempts.find((one) => one.number === number);
  if (attempt === undefined) {
    attempt = { number, decision: null, outcome: null };
    step.attempts.push(attempt);
  }
  if (entry.kind === "step-decided") {
    attempt.decision = entry;
    step.decision = entry;
    // A decision after an outcome opens the step again.
    step.outcome = null;
    step.endedAt = null;
  }
  if (/^step-(succeeded|failed|in-doubt|resolved)$/.test(entry.kind)) {
    attempt.outcome = entry;
    step.outcome = entry;
    step.endedAt = entry.time;
  }
  if (step.state === "refused" || step.state === "denied" || step.state === "expired")
    step.endedAt = entry.time;
}

/** Tells the story. Entries are in the order of the run's chain. */
export function tell(entries: Entry[]): Story {
  const story: Story = { beats: [], steps: [], start: null, end: null };
  const steps = new Map<number, Step>();
  for (const entry of entries) {
    if (entry.kind === "run-started") story.start = entry;
    if (ENDINGS.has(entry.kind)) story.end = entry;
    const number = stepNumber(entry);
    // What the run does as a whole stands on its own line, even when a step is the reason.
    if (number === null || entry.kind.startsWith("run-")) {
      story.beats.push({ kind: "run", entry });
      continue;
    }
    let step = steps.get(number);
    if (step === undefined) {
      step = newStep(number, entry);
      steps.set(number, step);
      story.steps.push(step);
      story.beats.push({ kind: "step", step });
    }
    take(step, entry);
  }
  if (story.end !== null) {
    for (const step of story.steps) {
      if (step.state === "admitted" || step.state === "waiting" || step.state === "retrying")
        step.state = "stopped";
    }
  }
  return story;
}

/** Why a step was judged as it was: the policy's own sentence, or the reason of the refusal. */
export function because(details: Details): string {
  return details.policy?.summary ?? details.reason ?? "";
}

/** The sentence of a policy without the question before it: what follows the last colon of the verdict. */
export function verdictOnly(summary: string): string {
  return summary.replace(/^\S+ may (not )?\S+ on \S+( \S+?)?( yet)?: /, "");
}
