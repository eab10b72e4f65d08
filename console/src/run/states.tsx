// States of runs, steps and approvals: their words and colours.

import type { ApprovalState, Run, RunState } from "../api/types";
import { Badge, type Tone } from "../ui/parts";
import type { StepState } from "./story";

const runTones: Record<RunState, Tone> = {
  pending: "neutral",
  running: "accent",
  waiting: "warn",
  paused: "neutral",
  completed: "ok",
  refused: "bad",
  faulted: "bad",
  cancelled: "neutral",
};

const waits: Record<string, string> = {
  approval: "Waiting for approval",
  "step-up": "Waiting for a fresh sign-in",
  timer: "Waiting for its time",
  "outcome-unknown": "In doubt",
  review: "Waiting for review",
};

/** A run's state in words. */
export function runStateText(run: Pick<Run, "state" | "waiting_for">): string {
  if (run.state === "waiting" && run.waiting_for)
    return waits[run.waiting_for] ?? `Waiting: ${run.waiting_for}`;
  return run.state.slice(0, 1).toUpperCase() + run.state.slice(1);
}

export function runTone(run: Pick<Run, "state" | "waiting_for">): Tone {
  if (run.state === "waiting" && run.waiting_for === "outcome-unknown") return "doubt";
  return runTones[run.state] ?? "neutral";
}

export function RunBadge({ run }: { run: Pick<Run, "state" | "waiting_for"> }) {
  const moving = run.state === "running" || run.state === "waiting" || run.state === "pending";
  return (
    <Badge tone={runTone(run)} pulse={moving}>
      {runStateText(run)}
    </Badge>
  );
}

export const stepTones: Record<StepState, { tone: Tone; says: string }> = {
  admitted: { tone: "accent", says: "Under way" },
  succeeded: { tone: "ok", says: "Done" },
  failed: { tone: "bad", says: "Failed" },
  retrying: { tone: "warn", says: "Failed, tried again" },
  refused: { tone: "bad", says: "Refused" },
  waiting: { tone: "warn", says: "Waits for approval" },
  denied: { tone: "bad", says: "Denied" },
  expired: { tone: "bad", says: "Approval expired" },
  "in-doubt": { tone: "doubt", says: "In doubt" },
  resolved: { tone: "neutral", says: "Resolved by a person" },
  stopped: { tone: "neutral", says: "Stopped" },
};

const approvalTones: Record<ApprovalState, { tone: Tone; says: string }> = {
  pending: { tone: "warn", says: "Pending" },
  approved: { tone: "ok", says: "Approved" },
  denied: { tone: "bad", says: "Denied" },
  expired: { tone: "neutral", says: "Expired" },
  withdrawn: { tone: "neutral", says: "Withdrawn" },
};

export function ApprovalBadge({ state }: { state: ApprovalState }) {
  const look = approvalTones[state] ?? { tone: "neutral" as const, says: state };
  return (
    <Badge tone={look.tone} pulse={state === "pending"}>
      {look.says}
    </Badge>
  );
}
