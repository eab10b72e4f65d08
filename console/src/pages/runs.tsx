// The list of runs.

import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { ListTree, Plus, SearchX } from "lucide-react";
import { useEffect } from "react";
import { runsQuery, workersQuery } from "../api/queries";
import type { Run } from "../api/types";
import { RunBadge } from "../run/states";
import { count } from "../text/say";
import { Button } from "../ui/button";
import { Select } from "../ui/field";
import { join } from "../ui/join";
import { Card, Chip, Empty, Failure, Loading, PageHead, Subject, Time } from "../ui/parts";
import { Visible } from "../ui/visible";

const route = getRouteApi("/frame/runs");

const FILTERS = [
  { value: "", name: "All" },
  { value: "open", name: "Open" },
  { value: "waiting", name: "Waiting" },
  { value: "completed", name: "Completed" },
  { value: "refused", name: "Refused" },
  { value: "faulted", name: "Faulted" },
  { value: "cancelled", name: "Cancelled" },
] as const;

function fits(run: Run, state: string): boolean {
  if (state === "") return true;
  if (state === "open") return ["pending", "running", "waiting", "paused"].includes(run.state);
  return run.state === state;
}

export function Runs() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const state = search.state ?? "";
  const runs = useInfiniteQuery(runsQuery(search.worker));
  const loaded = runs.data?.pages.flatMap((page) => page.items) ?? [];
  const shown = loaded.filter((run) => fits(run, state));
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = runs;
  // The server filters by Worker, this page by state: it reads on until there is something to show.
  const wantsMore =
    state !== "" && shown.length < 10 && loaded.length < 1000 && hasNextPage && !isFetchingNextPage;
  useEffect(() => {
    if (wantsMore) void fetchNextPage();
  }, [wantsMore, fetchNextPage]);

  return (
    <>
      <PageHead
        title="Runs"
        lead="What Workers did, for whom and for which purpose. Every one can be proven."
      />
      <Filters
        state={state}
        worker={search.worker ?? ""}
        seen={loaded}
        onState={(value) => void navigate({ search: { ...search, state: value || undefined } })}
        onWorker={(value) => void navigate({ search: { ...search, worker: value || undefined } })}
      />
      <Card className="overflow-hidden">
        {runs.isPending ? <Loading rows={6} label="Loading runs" /> : null}
        {runs.isError && loaded.length === 0 ? (
          <div className="p-5">
            <Failure error={runs.error} retry={() => void runs.refetch()} />
          </div>
        ) : null}
        {shown.length > 0 ? <RunTable runs={shown} /> : null}
        {runs.isSuccess && shown.length === 0 && !wantsMore && !isFetchingNextPage ? (
          <NoRuns
            filtered={state !== "" || Boolean(search.worker)}
            onClear={() => void navigate({ search: {} })}
          />
        ) : null}
      </Card>
      <div className="mt-4 flex flex-wrap items-center justify-between gap-4 text-sm text-soft">
        <p aria-live="polite">{runs.isSuccess ? `${count(shown.length, "run")} shown` : ""}</p>
        {hasNextPage ? (
          <Button small disabled={isFetchingNextPage} onClick={() => void fetchNextPage()}>
            {isFetchingNextPage ? "Loading…" : "Load older runs"}
          </Button>
        ) : null}
      </div>
    </>
  );
}

function Filters({
  state,
  worker,
  seen,
  onState,
  onWorker,
}: {
  state: string;
  worker: string;
  seen: Run[];
  onState: (state: string) => void;
  onWorker: (worker: string) => void;
}) {
  const workers = useQuery(workersQuery);
  const names = new Set([
    ...(workers.data?.items ?? []).map((one) => one.metadata.name),
    ...seen.map((run) => run.worker),
  ]);
  if (worker) names.add(worker);
  return (
    <div className="mb-4 flex flex-wrap items-center gap-3">
      <div className="-mx-4 min-w-0 max-w-[100vw] overflow-x-auto px-4 py-1 sm:mx-0 sm:px-0">
        <fieldset className="flex w-max gap-1.5">
          <legend className="sr-only">Filter by state</legend>
          {FILTERS.map(({ value, name }) => (
            <label
              key={value}
              className={join(
                "relative flex min-h-8 items-center whitespace-nowrap rounded-full border px-3 text-sm has-focus-visible:outline-2 has-focus-visible:outline-offset-2 has-focus-visible:outline-accent",
                state === value
                  ? "border-accent bg-accent-wash font-medium text-accent"
                  : "border-line bg-surface text-soft hover:border-line-strong hover:text-ink",
              )}
            >
              <input
                type="radio"
                name="state"
                className="sr-only"
                checked={state === value}
                onChange={() => onState(value)}
              />
              {name}
            </label>
          ))}
        </fieldset>
      </div>
      <Select
        aria-label="Filter by Worker"
        className="min-h-8! w-full py-1 text-sm! sm:ml-auto sm:w-64"
        value={worker}
        onChange={(event) => onWorker(event.target.value)}
      >
        <option value="">All Workers</option>
        {[...names].sort().map((name) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </Select>
    </div>
  );
}

function NoRuns({ filtered, onClear }: { filtered: boolean; onClear: () => void }) {
  if (filtered) {
    return (
      <Empty icon={<SearchX />} title="No run fits" action={<Button onClick={onClear}>Show all runs</Button>}>
        Nothing you may see is in this state or of this Worker.
      </Empty>
    );
  }
  return (
    <Empty
      icon={<ListTree />}
      title="No runs yet"
      action={
        <Button asChild look="primary">
          <Link to="/runs/new">
            <Plus aria-hidden className="size-4" /> Start a run
          </Link>
        </Button>
      }
    >
      Runs that you may see appear here as soon as they start.
    </Empty>
  );
}

function RunTable({ runs }: { runs: Run[] }) {
  const head = "px-5 py-2.5 text-left text-xs font-medium text-faint";
  return (
    <table className="w-full">
      <caption className="sr-only">Runs, the latest first</caption>
      <thead className="hidden border-b border-line lg:table-header-group">
        <tr>
          <th scope="col" className={head}>
            Purpose and Worker
          </th>
          <th scope="col" className={head}>
            State
          </th>
          <th scope="col" className={head}>
            Started by
          </th>
          <th scope="col" className={head}>
            Environment
          </th>
          <th scope="col" className={join(head, "text-right")}>
            Started
          </th>
        </tr>
      </thead>
      <tbody className="divide-y divide-line">
        {runs.map((run) => (
          <RunRow key={run.run} run={run} />
        ))}
      </tbody>
    </table>
  );
}

function RunRow({ run }: { run: Run }) {
  const cell = "lg:table-cell lg:px-5 lg:py-3.5 lg:align-middle";
  return (
    <tr className="relative flex flex-wrap items-center gap-x-3 gap-y-2 px-4 py-4 transition-colors hover:bg-sunken lg:table-row lg:p-0">
      <td className={join(cell, "order-1 w-full lg:w-auto lg:max-w-md")}>
        <Link data-row to="/runs/$run" params={{ run: run.run }} className="stretched font-medium">
          <Visible text={run.purpose} />
        </Link>
        <span className="block text-sm text-soft">{run.worker}</span>
      </td>
      <td className={join(cell, "order-2")}>
        <RunBadge run={run} />
      </td>
      <td className={join(cell, "order-4 w-full text-sm lg:w-auto lg:text-base")}>
        <span className="text-faint lg:hidden">by </span>
        <Subject of={run.initiator} />
      </td>
      <td className={join(cell, "order-3")}>
        <Chip tone={run.environment === "production" ? "warn" : "neutral"}>{run.environment}</Chip>
      </td>
      <td className={join(cell, "order-3 ml-auto text-sm text-soft lg:text-right")}>
        <Time at={run.started_at} relative />
      </td>
    </tr>
  );
}
