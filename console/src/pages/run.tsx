// The page of one run: what happened, on whose authority, with which data, and the proof of it.

import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { ArrowLeft, Radio } from "lucide-react";
import { type ReactNode, useMemo } from "react";
import { useRunStream } from "../api/events";
import { entriesQuery, findingsQuery, isOver, runApprovalsQuery, runQuery } from "../api/queries";
import type { Approval, Run } from "../api/types";
import { authorityOf } from "../run/authority";
import { Authority } from "../run/authority-view";
import { Findings } from "../run/findings";
import { LedgerList } from "../run/ledger-list";
import { lineageOf } from "../run/lineage";
import { LineageView } from "../run/lineage-view";
import { Proof } from "../run/proof";
import { RunBadge } from "../run/states";
import { tell } from "../run/story";
import { Timeline } from "../run/timeline";
import { lasting } from "../text/say";
import { Button } from "../ui/button";
import { Exact } from "../ui/copy";
import { Card, Chip, Fact, Failure, Loading, Notice, PageFailure, Subject, Time } from "../ui/parts";
import { Visible } from "../ui/visible";

const route = getRouteApi("/frame/runs/$run");

export function RunPage() {
  const { run: id } = route.useParams();
  const first = useQuery({ ...runQuery(id), refetchInterval: false });
  const over = first.data !== undefined && isOver(first.data);
  const liveness = useRunStream(id, over || first.isError);
  // With a stream this is a safety net; without one it is how the page stays fresh.
  const pace = over ? false : liveness === "live" ? 15_000 : 1_500;
  const run = useQuery({ ...runQuery(id), refetchInterval: pace });
  const entries = useQuery({
    ...entriesQuery(id),
    // The tree takes an entry in within a second or so; until then it has no index.
    refetchInterval: (query) => (query.state.data?.items.some((one) => one.index === null) ? 1_200 : pace),
  });
  const approvals = useQuery({ ...runApprovalsQuery(id), refetchInterval: pace });
  const findings = useQuery({ ...findingsQuery(id), refetchInterval: pace });
  const items = entries.data?.items;
  const story = useMemo(() => tell(items ?? []), [items]);
  const authority = useMemo(() => authorityOf(story), [story]);
  const lineage = useMemo(() => lineageOf(story), [story]);

  if (run.isPending) return <Loading rows={8} label="Loading the run" />;
  if (run.isError && run.data === undefined)
    return <PageFailure error={run.error} retry={() => void run.refetch()} />;
  if (run.data === undefined) return null;
  const pending = approvals.data?.items.filter((one) => one.state === "pending") ?? [];
  const found = findings.data?.findings ?? [];
  return (
    <>
      <Head run={run.data} live={!over && liveness === "live"} />
      {found.length > 0 ? <Findings findings={found} entries={items ?? []} /> : null}
      {pending.map((one) => (
        <Waiting key={one.id} approval={one} />
      ))}
      {run.data.problem ? (
        <div className="mb-8">
          <Notice tone="bad" title={<Visible text={run.data.problem.title} />}>
            <Visible text={run.data.problem.detail ?? ""} />
            {run.data.problem.decision ? (
              <span className="block">
                Decision <Exact value={run.data.problem.decision} />
              </span>
            ) : null}
          </Notice>
        </div>
      ) : null}
      <div className="grid items-start gap-x-8 gap-y-10 xl:grid-cols-[minmax(0,1fr)_21rem]">
        <div className="flex min-w-0 flex-col gap-11">
          {entries.isPending ? <Loading rows={8} label="Loading the ledger entries" /> : null}
          {entries.isError && items === undefined ? (
            <Failure error={entries.error} retry={() => void entries.refetch()} />
          ) : null}
          {items !== undefined ? (
            <>
              <Section id="timeline" title="What happened" lead="Each step was judged before it was done.">
                <Timeline story={story} approvals={approvals.data?.items ?? []} />
              </Section>
              <Section
                id="authority"
                title="On whose authority"
                lead="From the person to each single request, authority only narrows. What was left behind is struck out."
              >
                <Authority view={authority} />
              </Section>
              {lineage.nodes.length > 0 ? (
                <Section
                  id="data"
                  title="With which data"
                  lead="A label never gets lost: what a source influenced is at least as protected as the source."
                >
                  <LineageView lineage={lineage} />
                </Section>
              ) : null}
              <Section
                id="ledger"
                title="In the ledger"
                lead="Every entry, with its place in the log. Nothing here holds a secret or a payload."
              >
                <LedgerList entries={items} />
              </Section>
            </>
          ) : null}
          <div className="md:hidden">
            <Facts run={run.data} />
          </div>
        </div>
        <aside
          aria-label="Proof and facts"
          className="flex flex-col gap-6 max-xl:order-first max-xl:grid max-xl:md:grid-cols-2 xl:sticky xl:top-21"
        >
          <Proof run={run.data} entries={items ?? []} />
          <div className="hidden md:block">
            <Facts run={run.data} />
          </div>
        </aside>
      </div>
    </>
  );
}

function Section({
  id,
  title,
  lead,
  children,
}: {
  id: string;
  title: string;
  lead: string;
  children: ReactNode;
}) {
  return (
    <section aria-labelledby={`${id}-title`} id={id}>
      <h2 id={`${id}-title`} className="text-xl">
        {title}
      </h2>
      <p className="mb-5 mt-0.5 text-soft">{lead}</p>
      {children}
    </section>
  );
}

function Head({ run, live }: { run: Run; live: boolean }) {
  return (
    <header className="mb-8">
      <Link
        to="/runs"
        className="mb-4 inline-flex min-h-6 items-center gap-1.5 text-sm text-soft hover:text-ink"
      >
        <ArrowLeft aria-hidden className="size-4" /> Runs
      </Link>
      <div className="mb-2.5 flex flex-wrap items-center gap-2.5">
        <RunBadge run={run} />
        <Chip tone={run.environment === "production" ? "warn" : "neutral"}>{run.environment}</Chip>
        {live ? (
          <span className="inline-flex items-center gap-1.5 text-sm text-accent">
            <Radio aria-hidden className="pulse size-4" /> live
          </span>
        ) : null}
      </div>
      <h1 tabIndex={-1} className="max-w-4xl text-2xl outline-none sm:text-3xl">
        <Visible text={run.purpose} />
      </h1>
      <p className="mt-1.5 text-soft">
        {run.worker} for <Subject of={run.initiator} />, <Time at={run.started_at} />
      </p>
    </header>
  );
}

function Waiting({ approval }: { approval: Approval }) {
  return (
    <div className="mb-8">
      <Notice
        tone="warn"
        role="status"
        title={
          approval.kind === "review" ? "Waits for a review" : `Waits for approval of ${approval.function}`
        }
        action={
          <Button asChild look={approval.you_may ? "primary" : "plain"} small>
            <Link to="/approvals/$approval" params={{ approval: approval.id }}>
              {approval.you_may ? "Read and decide" : "Read what is asked"}
            </Link>
          </Button>
        }
      >
        {approval.kind === "gate" ? (
          <>
            To <Visible text={approval.destination} className="break-all" />.{" "}
          </>
        ) : null}
        Somebody of {approval.groups.join(" or ")} has to answer.
      </Notice>
    </div>
  );
}

function Facts({ run }: { run: Run }) {
  const over = isOver(run);
  return (
    <Card className="p-5">
      <h2 className="mb-4 text-lg">Facts</h2>
      <dl className="flex flex-col gap-4">
        <Fact name="Run">
          <Exact value={run.run} />
        </Fact>
        <Fact name="Worker">
          {run.worker}
          <span className="block text-sm text-soft">
            version <Exact value={run.worker_version} />
          </span>
        </Fact>
        <Fact name="Class">
          {run.class.impact}
          <span className="block text-sm text-soft">{run.class.data.join(", ") || "no regulated data"}</span>
        </Fact>
        <Fact name="Started by">
          <Subject of={run.initiator} />
        </Fact>
        <Fact name="Started">
          <Time at={run.started_at} />
        </Fact>
        {over ? <Fact name="Took">{lasting(Date.parse(run.since) - Date.parse(run.started_at))}</Fact> : null}
      </dl>
    </Card>
  );
}
