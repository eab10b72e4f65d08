// What the pages read, each under its key.

import { infiniteQueryOptions, QueryClient, queryOptions } from "@tanstack/react-query";
import { get, getOptional, holdToken, onSessionEnd, Problem, pathTo } from "./client";
import type {
  Approval,
  Entry,
  Finding,
  Page,
  Resource,
  Run,
  Session,
  TenantOffer,
  WorkerSpec,
} from "./types";

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 2_000,
      retry: (failures, error) => !(error instanceof Problem && error.status < 500) && failures < 2,
      refetchOnWindowFocus: true,
    },
  },
});

onSessionEnd(() => {
  holdToken(null);
  queryClient.setQueryData(sessionQuery.queryKey, null);
});

export const TERMINAL = new Set(["completed", "refused", "faulted", "cancelled"]);

/** Whether a run has ended. */
export function isOver(run: Run): boolean {
  return TERMINAL.has(run.state);
}

export const sessionQuery = queryOptions({
  queryKey: ["session"],
  queryFn: async ({ signal }): Promise<Session | null> => {
    try {
      const session = await get<Session>("/v1/session", signal);
      holdToken(session.csrf);
      return session;
    } catch (error) {
      if (error instanceof Problem && error.status === 401) return null;
      throw error;
    }
  },
  staleTime: 60_000,
});

export const tenantsQuery = queryOptions({
  queryKey: ["tenants"],
  queryFn: async ({ signal }) => {
    const { tenants } = await get<{ tenants: TenantOffer[] }>("/auth/tenants", signal);
    return tenants.filter((one) => one.browser !== false);
  },
  staleTime: 300_000,
});

export const runsQuery = (worker: string | undefined) =>
  infiniteQueryOptions({
    queryKey: ["runs", worker ?? ""],
    queryFn: ({ pageParam, signal }) => {
      const query = new URLSearchParams({ limit: "50" });
      if (worker) query.set("worker", worker);
      if (pageParam) query.set("cursor", pageParam);
      return get<Page<Run>>(`/v1/runs?${query}`, signal);
    },
    initialPageParam: "",
    getNextPageParam: (page: Page<Run>) => page.next ?? undefined,
    // The first page alone is read again often; more pages are read again as a whole, so seldom.
    refetchInterval: (query) => ((query.state.data?.pages.length ?? 1) > 1 ? 20_000 : 4_000),
  });

export const runQuery = (run: string) =>
  queryOptions({
    queryKey: ["run", run],
    queryFn: ({ signal }) => get<Run>(pathTo`/v1/runs/${run}`, signal),
  });

export const entriesQuery = (run: string) =>
  queryOptions({
    queryKey: ["run", run, "entries"],
    queryFn: ({ signal }) => get<Page<Entry>>(pathTo`/v1/runs/${run}/entries`, signal),
  });

export const findingsQuery = (run: string) =>
  queryOptions({
    queryKey: ["run", run, "findings"],
    queryFn: ({ signal }) => getOptional<{ findings: Finding[] }>(pathTo`/v1/runs/${run}/forensics`, signal),
  });

export const runApprovalsQuery = (run: string) =>
  queryOptions({
    queryKey: ["approvals", "run", run],
    queryFn: ({ signal }) =>
      getOptional<Page<Approval>>(`/v1/approvals?${new URLSearchParams({ run })}`, signal),
  });

export const approvalsQuery = queryOptions({
  queryKey: ["approvals", "all"],
  queryFn: ({ signal }) => get<Page<Approval>>("/v1/approvals", signal),
  refetchInterval: 5_000,
});

export const approvalQuery = (id: string) =>
  queryOptions({
    queryKey: ["approvals", "one", id],
    queryFn: ({ signal }) => get<Approval>(pathTo`/v1/approvals/${id}`, signal),
    refetchInterval: 5_000,
  });

export const workersQuery = queryOptions({
  queryKey: ["workers"],
  queryFn: ({ signal }) => get<Page<Resource<WorkerSpec>>>("/v1/resources/Worker", signal),
  staleTime: 30_000,
});
