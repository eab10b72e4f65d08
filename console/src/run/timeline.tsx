// What happened, in order: the run's own events, and its steps with their attempts, decisions and outcomes.

import { Link } from "@tanstack/react-router";
import {
  Ban,
  Check,
  ChevronRight,
  CircleHelp,
  CirclePlay,
  CircleStop,
  Clock,
  FileSignature,
  Flag,
  Hourglass,
  KeyRound,
  type LucideIcon,
  RotateCcw,
  UserCheck,
  UserX,
  X,
} from "lucide-react";
import type { Approval, Details, Entry } from "../api/types";
import { count, lasting } from "../text/say";
import { Exact } from "../ui/copy";
import { join } from "../ui/join";
import { Badge, Chip, Fact, Subject, Time, type Tone, tones } from "../ui/parts";
import { Visible } from "../ui/visible";
import { LabelView } from "./label-view";
import { rose } from "./labels";
import { stepTones } from "./states";
import { because, type Step, type StepState, type Story, verdictOnly } from "./story";

const runBeats: Record<string, { Icon: LucideIcon; tone: Tone; says: string }> = {
  "run-started": { Icon: CirclePlay, tone: "accent", says: "Started" },
  "run-refused": { Icon: Ban, tone: "bad", says: "Refused" },
  "run-waiting": { Icon: Hourglass, tone: "warn", says: "Waits" },
  "run-resumed": { Icon: CirclePlay, tone: "accent", says: "Goes on" },
  "run-recovered": { Icon: RotateCcw, tone: "warn", says: "Goes on after its process ended" },
  "run-completed": { Icon: Flag, tone: "ok", says: "Completed" },
  "run-faulted": { Icon: X, tone: "bad", says: "Faulted" },
  "run-cancelled": { Icon: CircleStop, tone: "neutral", says: "Cancelled" },
  "run-killed": { Icon: CircleStop, tone: "bad", says: "Stopped, its authority revoked" },
  "artifact-signed": { Icon: FileSignature, tone: "ok", says: "Result signed" },
};

const stepIcons: Record<StepState, LucideIcon> = {
  admitted: Clock,
  succeeded: Check,
  failed: X,
  retrying: RotateCcw,
  refused: Ban,
  waiting: Hourglass,
  denied: UserX,
  expired: Hourglass,
  "in-doubt": CircleHelp,
  resolved: UserCheck,
  stopped: CircleStop,
};

export function Timeline({ story, approvals }: { story: Story; approvals: Approval[] }) {
  const began = story.start?.time;
  return (
    <ol className="relative flex flex-col">
      {story.beats.map((beat, n) => (
        <li
          key={beat.kind === "step" ? `step-${beat.step.number}` : `entry-${beat.entry.seq}`}
          className="relative pb-5 pl-12 last:pb-0"
        >
          {n < story.beats.length - 1 ? (
            <span aria-hidden className="absolute bottom-0 left-[1.1875rem] top-9 w-px bg-line" />
          ) : null}
          {beat.kind === "run" ? (
            <RunBeat entry={beat.entry} began={began} />
          ) : (
            <StepBeat
              step={beat.step}
              began={began}
              approvals={approvals.filter((one) => one.step === beat.step.number)}
            />
          )}
        </li>
      ))}
    </ol>
  );
}

function Knot({ Icon, tone, pulse = false }: { Icon: LucideIcon; tone: Tone; pulse?: boolean }) {
  return (
    <span
      aria-hidden
      className={join(
        "absolute left-0 top-0 grid size-9.5 place-items-center rounded-full border bg-surface",
        tones[tone].line,
        tones[tone].text,
        pulse && "pulse",
      )}
    >
      <Icon className="size-4.5" />
    </span>
  );
}

function After({ entry, began }: { entry: { time: string }; began: string | undefined }) {
  const since = began === undefined ? 0 : Date.parse(entry.time) - Date.parse(began);
  return (
    <span className="ml-auto whitespace-nowrap text-sm tabular-nums text-faint">
      {since > 0 ? <span title={entry.time}>+{lasting(since)}</span> : <Time at={entry.time} />}
    </span>
  );
}

function RunBeat({ entry, began }: { entry: Entry; began: string | undefined }) {
  const look = runBeats[entry.kind] ?? { Icon: Clock, tone: "neutral" as const, says: entry.kind };
  const { problem, waiting_for, name, digest, why } = entry.details;
  return (
    <>
      <Knot Icon={look.Icon} tone={look.tone} />
      <div className="flex min-h-9.5 flex-wrap items-center gap-x-3 gap-y-1">
        <h3 className={join("font-medium", look.tone === "bad" && "text-bad")}>
          {look.says}
          {entry.kind === "run-waiting" && waiting_for ? (
            <span className="font-normal text-soft"> for {waiting_for}</span>
          ) : null}
        </h3>
        {entry.kind === "run-started" ? (
          <span className="text-soft">
            by <Subject of={entry.actor} />
          </span>
        ) : null}
        {entry.kind === "artifact-signed" ? (
          <span className="flex items-center gap-2 text-soft">
            {typeof name === "string" ? <Visible text={name} /> : null}
            {digest ? <Exact value={digest} /> : null}
          </span>
        ) : null}
        <After entry={entry} began={began} />
      </div>
      {problem ? (
        <p className="mt-1 text-sm text-bad">
          <Visible text={problem.detail ?? problem.title} />
        </p>
      ) : null}
      {why ? (
        <p className="mt-1 text-sm text-soft">
          <Visible text={why} />
        </p>
      ) : null}
    </>
  );
}

function StepBeat({
  step,
  began,
  approvals,
}: {
  step: Step;
  began: string | undefined;
  approvals: Approval[];
}) {
  const look = stepTones[step.state];
  const details = step.decision?.details ?? {};
  const output = step.outcome?.details.output?.labels;
  const given = details.arguments?.labels;
  const waiting = approvals.find((one) => one.state === "pending");
  const reason = because(details);
  const moving = step.state === "admitted" || step.state === "waiting" || step.state === "retrying";
  return (
    <>
      <Knot Icon={stepIcons[step.state]} tone={look.tone} pulse={moving} />
      <article
        aria-labelledby={`step-${step.number}`}
        className="rounded-card border border-line bg-surface shadow-card"
      >
        <div className="flex flex-wrap items-center gap-x-3 gap-y-1.5 px-4 pt-3.5 sm:px-5">
          <h3 id={`step-${step.number}`} className="text-lg">
            <span className="font-normal tabular-nums text-faint">{step.number}</span>{" "}
            <Visible text={step.function || step.path || "step"} />
          </h3>
          <Badge tone={look.tone}>{look.says}</Badge>
          {step.attempts.length > 1 ? <Chip>{count(step.attempts.length, "attempt")}</Chip> : null}
          <After entry={{ time: step.startedAt }} began={began} />
        </div>
        <div className="flex flex-col gap-3 px-4 pb-4 pt-2 sm:px-5">
          <Doing step={step} />
          {reason ? (
            <p className={join("text-sm", details.status === "deny" ? "text-bad" : "text-soft")}>
              <span className="font-medium text-ink">
                {details.status === "allow"
                  ? "Allowed: "
                  : details.status === "deny"
                    ? "Refused: "
                    : "Not yet: "}
              </span>
              <Visible text={verdictOnly(reason)} />
            </p>
          ) : null}
          {waiting ? <WaitsFor approval={waiting} /> : null}
          <People step={step} />
          {(output ?? given) ? (
            <div className="flex flex-wrap items-center gap-x-2.5 gap-y-1.5 text-sm text-soft">
              {output ? "Gave back" : "Was to be given"}
              <LabelView labels={output ?? (given as NonNullable<typeof given>)} />
              {given && output && rose(given, output).length > 0 ? (
                <span className="text-faint">labels rose: {rose(given, output).join("; ")}</span>
              ) : null}
            </div>
          ) : null}
          {step.state === "in-doubt" ? (
            <p className="text-sm text-doubt">
              A crash or a lost reply hid what became of it. It is never repeated blindly; a person resolves
              it with <code>mandate runs resolve</code>.
            </p>
          ) : null}
          <StepDetails step={step} />
        </div>
      </article>
    </>
  );
}

/** Who does what, where to, as whom. */
function Doing({ step }: { step: Step }) {
  const details = step.decision?.details;
  if (!details) return null;
  const took = step.outcome ? Date.parse(step.outcome.time) - Date.parse(step.startedAt) : null;
  const problem = step.outcome?.details.problem;
  return (
    <div className="text-sm text-soft">
      <p className="break-words">
        {details.request ? (
          <>
            <span className="font-mono text-[0.8125rem] text-ink">{details.request.method}</span>{" "}
            <Visible
              text={details.request.destination}
              className="break-all font-mono text-[0.8125rem] text-ink"
            />
          </>
        ) : null}
        {details.model ? (
          <>
            {" as "}
            <span className="text-ink">{details.model}</span>
            {details.legacy ? " (legacy: a static key)" : null}
          </>
        ) : null}
        {took !== null ? `, in ${lasting(took)}` : null}
      </p>
      {problem ? (
        <p className="mt-1 text-bad">
          <Visible text={problem.detail ?? problem.title} />
        </p>
      ) : null}
    </div>
  );
}

function WaitsFor({ approval }: { approval: Approval }) {
  return (
    <p className="flex flex-wrap items-center gap-x-3 gap-y-1 rounded-lg bg-warn-wash px-3 py-2 text-sm text-warn">
      <UserCheck aria-hidden className="size-4" />
      <span className="flex-1">Somebody of {approval.groups.join(" or ")} has to answer.</span>
      <Link
        to="/approvals/$approval"
        params={{ approval: approval.id }}
        className="inline-flex min-h-6 items-center font-medium underline underline-offset-4"
      >
        {approval.you_may ? "Read and decide" : "Read what is asked"}
      </Link>
    </p>
  );
}

const words: Record<string, string> = {
  "approval-requested": "Approval asked for",
  "approval-given": "Approved",
  "approval-denied": "Denied",
  "approval-expired": "Nobody answered in time",
};

/** What people did about the step. */
function People({ step }: { step: Step }) {
  const told = step.entries.filter((entry) => entry.kind in words && entry.kind !== "approval-requested");
  if (told.length === 0) return null;
  return (
    <ul className="flex flex-col gap-1">
      {told.map((entry) => (
        <li key={entry.seq} className="flex flex-wrap items-center gap-x-2 text-sm text-soft">
          {entry.kind === "approval-given" ? (
            <UserCheck aria-hidden className="size-4 text-ok" />
          ) : (
            <UserX aria-hidden className="size-4 text-bad" />
          )}
          <span className="font-medium text-ink">{words[entry.kind]}</span>
          {entry.details.by ? (
            <span>
              by <Subject of={entry.details.by} />
            </span>
          ) : null}
          {entry.details.why ? (
            <span>
              “<Visible text={entry.details.why} />”
            </span>
          ) : null}
          <Time at={entry.time} />
        </li>
      ))}
    </ul>
  );
}

function policiesOf(details: Details): string {
  return (details.policy?.determining ?? [])
    .map((one) => (one.file ? `${one.id} (${one.file})` : one.id))
    .join(", ");
}

/** The evidence behind the short telling. */
function StepDetails({ step }: { step: Step }) {
  return (
    <details className="group -mb-1">
      <summary className="inline-flex min-h-7 items-center gap-1 rounded text-sm font-medium text-accent">
        <ChevronRight aria-hidden className="size-4 transition-transform group-open:rotate-90" />
        Decision and evidence
      </summary>
      <div className="mt-3 flex flex-col gap-5 border-t border-line pt-4">
        {step.attempts.map((attempt) => {
          const decided = attempt.decision?.details ?? {};
          const outcome = attempt.outcome?.details ?? {};
          return (
            <dl key={attempt.number} className="grid gap-x-6 gap-y-3.5 text-sm sm:grid-cols-2">
              {step.attempts.length > 1 ? (
                <Fact name="Attempt" wide>
                  {attempt.number}
                </Fact>
              ) : null}
              {because(decided) ? (
                <Fact name="Reason" wide>
                  <Visible text={because(decided)} />
                </Fact>
              ) : null}
              {policiesOf(decided) ? <Fact name="Deciding policies">{policiesOf(decided)}</Fact> : null}
              {decided.decision ? (
                <Fact name="Decision">
                  <Exact value={decided.decision} />
                </Fact>
              ) : null}
              {decided.policy?.digest ? (
                <Fact name="Policy set">
                  <Exact value={decided.policy.digest} />
                </Fact>
              ) : null}
              {typeof decided.function_version === "string" ? (
                <Fact name="Function version">
                  <Exact value={decided.function_version} />
                </Fact>
              ) : null}
              {decided.request ? (
                <Fact name="Request digest">
                  <Exact value={decided.request.digest} />
                </Fact>
              ) : null}
              {decided.effect ? <Fact name="Effect">{decided.effect}</Fact> : null}
              {decided.arguments?.labels ? (
                <Fact name="Labels of the arguments">
                  <LabelView labels={decided.arguments.labels} all />
                </Fact>
              ) : null}
              {outcome.output?.labels ? (
                <Fact name="Labels of the result">
                  <LabelView labels={outcome.output.labels} all />
                </Fact>
              ) : null}
              {outcome.observed?.reply_digest ? (
                <Fact name="Reply, as observed">
                  <Exact value={outcome.observed.reply_digest} />
                </Fact>
              ) : null}
              {outcome.claimed_by_remote ? (
                <Fact name="Claimed by the receiver">
                  <Visible
                    text={JSON.stringify(outcome.claimed_by_remote)}
                    className="break-all font-mono text-xs"
                  />
                </Fact>
              ) : null}
            </dl>
          );
        })}
        {step.entries
          .filter((entry) => entry.kind === "lease-ended")
          .map((entry) => (
            <p key={entry.seq} className="flex items-center gap-2 text-sm text-soft">
              <KeyRound aria-hidden className="size-4 shrink-0" />
              The lease of{" "}
              {typeof entry.details.credential === "string" ? entry.details.credential : "the credential"}{" "}
              ended
              {entry.details.why ? `: ${entry.details.why}` : ""}
            </p>
          ))}
        <p className="text-sm text-soft">
          Ledger entries{" "}
          {step.entries.map((entry, n) => (
            <span key={entry.seq}>
              {n > 0 ? ", " : ""}
              <a href={`#entry-${entry.seq}`} className="text-accent underline underline-offset-4">
                {entry.index ?? `${entry.seq} of the run`}
              </a>
            </span>
          ))}
        </p>
      </div>
    </details>
  );
}
