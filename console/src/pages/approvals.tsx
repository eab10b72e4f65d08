// What waits for a person's word.

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ArrowRight, Inbox } from "lucide-react";
import { approvalsQuery } from "../api/queries";
import type { Approval } from "../api/types";
import { Countdown } from "../approval/countdown";
import { ApprovalBadge } from "../run/states";
import { Card, Chip, Empty, Failure, Loading, PageHead, Subject, Time } from "../ui/parts";
import { Visible } from "../ui/visible";

export function Approvals() {
  const approvals = useQuery(approvalsQuery);
  const items = approvals.data?.items ?? [];
  const pending = items
    .filter((one) => one.state === "pending")
    .sort((a, b) => Number(b.you_may) - Number(a.you_may) || a.expires_at.localeCompare(b.expires_at));
  const decided = items
    .filter((one) => one.state !== "pending")
    .sort((a, b) => (b.decided_at ?? b.asked_at).localeCompare(a.decided_at ?? a.asked_at));
  return (
    <>
      <PageHead
        title="Approvals"
        lead="Requests that a policy lets pass only by somebody’s word, and reviews that a Worker asks for."
      />
      {approvals.isPending ? (
        <Card>
          <Loading label="Loading approvals" />
        </Card>
      ) : null}
      {approvals.isError ? <Failure error={approvals.error} retry={() => void approvals.refetch()} /> : null}
      {approvals.isSuccess ? (
        <>
          <section aria-labelledby="pending">
            <h2 id="pending" className="mb-3 text-lg">
              Pending
            </h2>
            {pending.length === 0 ? (
              <Card>
                <Empty icon={<Inbox />} title="Nothing waits for you">
                  When a run needs your word, it appears here.
                </Empty>
              </Card>
            ) : (
              <ul className="grid gap-4 lg:grid-cols-2">
                {pending.map((one) => (
                  <PendingCard key={one.id} approval={one} />
                ))}
              </ul>
            )}
          </section>
          {decided.length > 0 ? <Decided approvals={decided} /> : null}
        </>
      ) : null}
    </>
  );
}

/** What is asked, in one line. */
export function askText(approval: Approval): string {
  return approval.kind === "review" ? (approval.title ?? "A review") : approval.function;
}

function PendingCard({ approval }: { approval: Approval }) {
  return (
    <li className="relative flex flex-col gap-4 rounded-card border border-line bg-surface p-5 shadow-card transition-colors hover:border-line-strong">
      <div className="flex flex-wrap items-center justify-between gap-2">
        <Chip>{approval.kind === "review" ? "Review" : "Guarded step"}</Chip>
        <span className="text-sm text-soft">
          <Countdown until={approval.expires_at} />
        </span>
      </div>
      <div>
        <Link
          data-row
          to="/approvals/$approval"
          params={{ approval: approval.id }}
          className="stretched text-lg font-semibold tracking-tight"
        >
          <Visible text={askText(approval)} />
        </Link>
        {approval.kind === "gate" ? (
          <p className="mt-1 flex items-start gap-2 break-all text-soft">
            <ArrowRight aria-hidden className="mt-1 size-4 shrink-0" />
            <span>
              <span className="sr-only">to </span>
              <Visible text={approval.destination} />
            </span>
          </p>
        ) : null}
      </div>
      <p className="mt-auto text-sm text-soft">
        <Subject of={approval.requested_by} /> for “<Visible text={approval.purpose} />”
      </p>
      {approval.you_may ? null : (
        <p className="border-t border-line pt-3 text-sm text-soft">
          <Visible text={approval.why_not ?? "You may not decide this one."} />
        </p>
      )}
    </li>
  );
}

function Decided({ approvals }: { approvals: Approval[] }) {
  return (
    <section aria-labelledby="decided" className="mt-10">
      <h2 id="decided" className="mb-3 text-lg">
        Decided and ended
      </h2>
      <Card>
        <ul className="divide-y divide-line">
          {approvals.map((one) => (
            <li
              key={one.id}
              className="relative flex flex-wrap items-center gap-x-4 gap-y-1.5 px-5 py-3.5 hover:bg-sunken"
            >
              <ApprovalBadge state={one.state} />
              <Link
                data-row
                to="/approvals/$approval"
                params={{ approval: one.id }}
                className="stretched min-w-0 flex-1 basis-48 font-medium"
              >
                <Visible text={askText(one)} />
                <span className="block text-sm font-normal text-soft">
                  <Visible text={one.purpose} />
                </span>
              </Link>
              <span className="text-sm text-soft">
                {one.decided_by ? (
                  <>
                    by <Subject of={one.decided_by} />{" "}
                  </>
                ) : null}
                <Time at={one.decided_at ?? one.expires_at} relative />
              </span>
            </li>
          ))}
        </ul>
      </Card>
    </section>
  );
}
