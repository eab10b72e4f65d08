// One approval: what exactly is asked, and the answer.

import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { ArrowLeft } from "lucide-react";
import { useEffect, useState } from "react";
import { approvalQuery } from "../api/queries";
import type { Approval } from "../api/types";
import { Countdown } from "../approval/countdown";
import { DecisionForm } from "../approval/decision";
import { LabelView } from "../run/label-view";
import { ApprovalBadge } from "../run/states";
import { Exact } from "../ui/copy";
import { JsonView } from "../ui/json";
import { Card, Chip, Fact, Loading, Notice, PageFailure, Subject, Time } from "../ui/parts";
import { Canonical, Visible } from "../ui/visible";
import { askText } from "./approvals";

const route = getRouteApi("/frame/approvals/$approval");

export function ApprovalPage() {
  const { approval: id } = route.useParams();
  const query = useQuery(approvalQuery(id));
  // What is decided on is what stood here when it was first read: a later answer of the server can't slip in.
  const [seen, setSeen] = useState<Approval | null>(null);
  const latest = query.data;
  useEffect(() => {
    if (latest !== undefined && (seen === null || seen.id !== latest.id)) setSeen(latest);
  }, [latest, seen]);
  if (query.isPending) return <Loading label="Loading the approval" />;
  if (query.isError && latest === undefined)
    return <PageFailure error={query.error} retry={() => void query.refetch()} />;
  if (latest === undefined || seen === null) return <Loading label="Loading the approval" />;
  const changed = latest.arguments_digest !== seen.arguments_digest;
  return (
    <>
      <Link
        to="/approvals"
        className="mb-4 inline-flex min-h-6 items-center gap-1.5 text-sm text-soft hover:text-ink"
      >
        <ArrowLeft aria-hidden className="size-4" /> Approvals
      </Link>
      <header className="mb-6">
        <div className="mb-2.5 flex flex-wrap items-center gap-2.5">
          <ApprovalBadge state={latest.state} />
          <Chip>
            {latest.kind === "review" ? "Review: your answer is data, it guards nothing" : "Guarded step"}
          </Chip>
        </div>
        <h1 tabIndex={-1} className="text-2xl outline-none sm:text-3xl">
          <Visible text={latest.kind === "review" ? askText(latest) : `Approve ${latest.function}?`} />
        </h1>
        <p className="mt-1.5 text-soft">
          <Subject of={latest.requested_by} /> asks, for “<Visible text={latest.purpose} />”
        </p>
      </header>
      {changed ? (
        <div className="mb-6">
          <Notice
            tone="bad"
            role="alert"
            title="The request is not the one you were shown"
            action={
              <button
                type="button"
                className="min-h-6 font-medium text-bad underline underline-offset-4"
                onClick={() => setSeen(latest)}
              >
                Show the new one
              </button>
            }
          >
            Something of it changed since this page was opened. Read it again before you decide.
          </Notice>
        </div>
      ) : null}
      <div className="grid items-start gap-6 lg:grid-cols-[minmax(0,1fr)_22rem]">
        <div className="flex flex-col gap-6">
          <What approval={seen} />
          <Bytes approval={seen} />
        </div>
        <div className="flex flex-col gap-6 lg:sticky lg:top-21">
          <DecisionForm
            key={seen.arguments_digest}
            approval={{ ...seen, ...standing(latest) }}
            blocked={changed}
          />
          <Who approval={latest} />
        </div>
      </div>
    </>
  );
}

/** What may change without making it another request. */
function standing(latest: Approval) {
  const { state, you_may, why_not, decided_by, decided_at, comment, expires_at } = latest;
  return { state, you_may, why_not, decided_by, decided_at, comment, expires_at };
}

function What({ approval }: { approval: Approval }) {
  return (
    <Card>
      <div className="border-b border-line p-5 sm:p-6">
        <p className="eyebrow">{approval.kind === "review" ? "Asked by the step" : "Goes to"}</p>
        <p className="mt-1 break-all text-xl font-semibold tracking-tight">
          <Visible text={approval.kind === "review" ? approval.path : approval.destination} />
        </p>
        <div className="mt-3">
          <LabelView labels={approval.labels} all />
        </div>
        {approval.labels.integrity === "untrusted" ? (
          <p className="mt-3 text-sm text-doubt">
            Part of this comes from a model or from outside. Read it as something proposed, not as something
            known.
          </p>
        ) : null}
        {approval.labels.sources && approval.labels.sources.length > 0 ? (
          <p className="mt-2 text-sm text-soft">
            Made from:{" "}
            <Visible text={[...new Set(approval.labels.sources.map((one) => one.origin))].join(", ")} />
          </p>
        ) : null}
      </div>
      <div className="p-5 sm:p-6">
        <h2 className="mb-4 text-lg">Exact content</h2>
        {approval.you_may_read ? (
          <JsonView value={approval.arguments} />
        ) : (
          <p className="text-soft">
            What it holds is for whoever was asked, whoever started the run, and whoever may read its results.
          </p>
        )}
      </div>
    </Card>
  );
}

function Bytes({ approval }: { approval: Approval }) {
  if (approval.canonical === null) return null;
  return (
    <Card className="p-5 sm:p-6">
      <h2 className="text-lg">The bytes you decide on</h2>
      <p className="mb-4 mt-1 text-sm text-soft">
        Canonical, whole and frozen. A character that would hide or reorder text is written as{" "}
        <code>\u{"{…}"}</code>.
      </p>
      <section
        aria-label="Canonical bytes"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard.
        tabIndex={0}
        className="overflow-x-auto rounded-lg bg-sunken p-4"
      >
        <pre className="whitespace-pre-wrap break-all font-mono text-sm leading-relaxed">
          <Canonical text={approval.canonical} />
        </pre>
      </section>
      <p className="mb-1 mt-4 text-sm text-soft">
        Digest: your answer is bound to it, with the step, the destination, and the versions of Worker,
        function and credential.
      </p>
      <Exact value={approval.arguments_digest} full />
    </Card>
  );
}

function Who({ approval }: { approval: Approval }) {
  return (
    <Card className="p-5">
      <h2 className="mb-4 text-lg">Who asks, and why</h2>
      <dl className="flex flex-col gap-4">
        <Fact name="Purpose">
          <Visible text={approval.purpose} />
        </Fact>
        <Fact name="Asked by">
          <Subject of={approval.requested_by} />
        </Fact>
        <Fact name="Run">
          <Link
            to="/runs/$run"
            params={{ run: approval.run }}
            className="font-medium text-accent underline decoration-accent/40 underline-offset-4 hover:decoration-accent"
          >
            {approval.worker}
          </Link>
          <span className="block text-sm text-soft">
            step {approval.step}, {approval.environment}
          </span>
        </Fact>
        <Fact name="Worker version">
          <Exact value={approval.worker_version} />
        </Fact>
        <Fact name="May be decided by">{approval.groups.join(", ")}</Fact>
        <Fact name="Asked">
          <Time at={approval.asked_at} relative />
        </Fact>
        <Fact name="Ends">
          {approval.state === "pending" ? (
            <Countdown until={approval.expires_at} />
          ) : (
            <Time at={approval.expires_at} />
          )}
        </Fact>
      </dl>
    </Card>
  );
}
