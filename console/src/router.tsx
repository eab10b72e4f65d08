// Where everything is. Pages are loaded when they are first visited.

import {
  createRootRoute,
  createRoute,
  createRouter,
  Link,
  lazyRouteComponent,
  Outlet,
  redirect,
} from "@tanstack/react-router";
import { Compass } from "lucide-react";
import { Layout } from "./shell/layout";
import { Button } from "./ui/button";
import { Empty, Failure, Loading } from "./ui/parts";

const text = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" ? value : undefined;

function NotFound() {
  return (
    <Empty
      page
      icon={<Compass />}
      title="There is nothing here"
      action={
        <Button asChild>
          <Link to="/runs">Go to runs</Link>
        </Button>
      }
    >
      The address may be wrong, or you may not see what is there.
    </Empty>
  );
}

const root = createRootRoute({ component: Outlet, notFoundComponent: NotFound });

const signIn = createRoute({
  getParentRoute: () => root,
  path: "/sign-in",
  validateSearch: (search): { return_to?: string | undefined } => ({ return_to: text(search.return_to) }),
  component: lazyRouteComponent(() => import("./pages/sign-in"), "SignIn"),
});

const frame = createRoute({ getParentRoute: () => root, id: "frame", component: Layout });

const start = createRoute({
  getParentRoute: () => frame,
  path: "/",
  beforeLoad: () => {
    throw redirect({ to: "/runs", replace: true });
  },
});

const runs = createRoute({
  getParentRoute: () => frame,
  path: "/runs",
  validateSearch: (search): { state?: string | undefined; worker?: string | undefined } => ({
    state: text(search.state),
    worker: text(search.worker),
  }),
  component: lazyRouteComponent(() => import("./pages/runs"), "Runs"),
});

const newRun = createRoute({
  getParentRoute: () => frame,
  path: "/runs/new",
  validateSearch: (search): { worker?: string | undefined } => ({ worker: text(search.worker) }),
  component: lazyRouteComponent(() => import("./pages/new-run"), "NewRun"),
});

const run = createRoute({
  getParentRoute: () => frame,
  path: "/runs/$run",
  component: lazyRouteComponent(() => import("./pages/run"), "RunPage"),
});

const approvals = createRoute({
  getParentRoute: () => frame,
  path: "/approvals",
  component: lazyRouteComponent(() => import("./pages/approvals"), "Approvals"),
});

const approval = createRoute({
  getParentRoute: () => frame,
  path: "/approvals/$approval",
  component: lazyRouteComponent(() => import("./pages/approval"), "ApprovalPage"),
});

const trust = createRoute({
  getParentRoute: () => frame,
  path: "/trust",
  component: lazyRouteComponent(() => import("./pages/trust"), "Trust"),
});

export const router = createRouter({
  routeTree: root.addChildren([
    signIn,
    frame.addChildren([start, runs, newRun, run, approvals, approval, trust]),
  ]),
  defaultPreload: "intent",
  scrollRestoration: true,
  defaultPendingComponent: () => <Loading />,
  defaultErrorComponent: ({ error, reset }) => <Failure error={error} retry={reset} />,
  defaultNotFoundComponent: NotFound,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
