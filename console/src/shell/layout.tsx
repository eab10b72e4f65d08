// The frame around every page of somebody signed in.

import { useQuery } from "@tanstack/react-query";
import { Link, Outlet, useLocation, useRouter } from "@tanstack/react-router";
import { Inbox, ListTree, Plus } from "lucide-react";
import { lazy, Suspense, useEffect, useState } from "react";
import { approvalsQuery, sessionQuery } from "../api/queries";
import type { Session } from "../api/types";
import { Expiry } from "../session/expiry";
import { Button } from "../ui/button";
import { join } from "../ui/join";
import { Failure, Loading } from "../ui/parts";
import { AccountFace, accountLook } from "./account-face";
import { Mark } from "./mark";
import { useShortcuts } from "./shortcuts";

const loadMenu = () => import("./account-menu").then((part) => ({ default: part.AccountMenu }));
const AccountMenu = lazy(loadMenu);
const ShortcutsDialog = lazy(() =>
  import("./shortcuts-dialog").then((part) => ({ default: part.ShortcutsDialog })),
);

/** The button alone, until somebody wants the menu. */
function Account({ session, onShortcuts }: { session: Session; onShortcuts: () => void }) {
  const [wanted, setWanted] = useState(false);
  const button = (
    <button
      type="button"
      className={accountLook}
      aria-haspopup="dialog"
      aria-expanded={false}
      aria-label={`Account: ${session.name}, tenant ${session.tenant}`}
      onPointerEnter={() => void loadMenu()}
      onFocus={() => void loadMenu()}
      onClick={() => setWanted(true)}
    >
      <AccountFace session={session} />
    </button>
  );
  if (!wanted) return button;
  return (
    <Suspense fallback={button}>
      <AccountMenu session={session} onShortcuts={onShortcuts} />
    </Suspense>
  );
}

function Navigation({ phone = false }: { phone?: boolean }) {
  const approvals = useQuery(approvalsQuery);
  const waiting = approvals.data?.items.filter((one) => one.state === "pending" && one.you_may).length ?? 0;
  const look = phone
    ? "flex min-h-14 flex-1 flex-col items-center justify-center gap-0.5 text-xs font-medium"
    : "flex min-h-10 items-center gap-2 rounded-lg px-3 font-medium";
  const active = phone ? "text-accent" : "bg-sunken text-ink";
  const idle = phone ? "text-soft" : "text-soft hover:text-ink";
  const at = useLocation({ select: (location) => location.pathname });
  const links = [
    { to: "/runs", name: "Runs", Icon: ListTree, count: 0 },
    { to: "/approvals", name: "Approvals", Icon: Inbox, count: waiting },
  ] as const;
  return (
    <nav aria-label={phone ? "Main, below" : "Main"} className={phone ? "flex" : "flex items-center gap-1"}>
      {links.map(({ to, name, Icon, count }) => {
        const here = at.startsWith(to) && at !== "/runs/new";
        return (
          <Link
            key={to}
            to={to}
            aria-current={here ? "page" : undefined}
            className={join(look, here ? active : idle)}
          >
            <span className="relative">
              <Icon aria-hidden className={phone ? "size-5" : "size-4.5"} />
              {phone && count > 0 ? (
                <span className="absolute -right-1 -top-0.5 size-2 rounded-full bg-warn" />
              ) : null}
            </span>
            {name}
            {count > 0 ? (
              <span
                className={
                  phone ? "sr-only" : "rounded-full bg-warn-wash px-1.5 text-sm tabular-nums text-warn"
                }
              >
                {count}
                <span className="sr-only"> waiting for you</span>
              </span>
            ) : null}
          </Link>
        );
      })}
      {phone ? (
        <Link
          to="/runs/new"
          aria-current={at === "/runs/new" ? "page" : undefined}
          className={join(look, at === "/runs/new" ? active : idle)}
        >
          <Plus aria-hidden className="size-5" />
          Start
        </Link>
      ) : null}
    </nav>
  );
}

/** The heading takes the focus after a change of page, so that it is read out and the keyboard starts there. */
function useFocusOnPage(): void {
  const router = useRouter();
  useEffect(
    () =>
      router.subscribe("onRendered", ({ fromLocation, toLocation }) => {
        if (fromLocation === undefined || fromLocation.pathname === toLocation.pathname || toLocation.hash)
          return;
        document.querySelector<HTMLElement>("main h1")?.focus({ preventScroll: true });
      }),
    [router],
  );
}

/** Leads to the sign-in page, once, and says where to come back to. */
function SignInFirst() {
  const router = useRouter();
  useEffect(() => {
    const here = router.state.location.href;
    void router.navigate({ to: "/sign-in", search: { return_to: here }, replace: true });
  }, [router]);
  return <Loading label="Leading to the sign-in" />;
}

/** The frame; sends those who are not signed in to the sign-in page. */
export function Layout() {
  const session = useQuery(sessionQuery);
  const [shortcuts, setShortcuts] = useState(false);
  useFocusOnPage();
  useShortcuts(() => setShortcuts(true));
  if (session.isPending) return <Loading label="Loading your session" />;
  if (session.isError) {
    return (
      <main className="mx-auto max-w-xl p-8">
        <Failure error={session.error} retry={() => void session.refetch()} />
      </main>
    );
  }
  if (session.data === null) return <SignInFirst />;
  return (
    <div className="flex min-h-dvh flex-col">
      <a
        href="#main"
        className="sr-only z-50 rounded-lg bg-accent px-4 py-2 text-on-accent focus:not-sr-only focus:fixed focus:left-3 focus:top-3"
      >
        Skip to the content
      </a>
      <header className="sticky top-0 z-20 border-b border-line bg-page/92 backdrop-blur-sm">
        <div className="mx-auto flex h-15 max-w-7xl items-center gap-7 px-4 sm:px-6 lg:px-8">
          <Link
            to="/runs"
            className="flex items-center gap-2.5 rounded-lg text-lg font-semibold tracking-tight"
          >
            <Mark className="size-7 text-accent" />
            Mandate
          </Link>
          <div className="hidden sm:block">
            <Navigation />
          </div>
          <div className="ml-auto flex items-center gap-2">
            <div className="hidden sm:block">
              <Button asChild look="primary" small>
                <Link to="/runs/new">
                  <Plus aria-hidden className="size-4" /> Start a run
                </Link>
              </Button>
            </div>
            <Account session={session.data} onShortcuts={() => setShortcuts(true)} />
          </div>
        </div>
      </header>
      <main
        id="main"
        tabIndex={-1}
        className="mx-auto w-full max-w-7xl flex-1 px-4 py-7 outline-none sm:px-6 sm:py-9 lg:px-8"
      >
        <Expiry session={session.data} />
        <Outlet />
      </main>
      <div className="sticky bottom-0 z-20 border-t border-line bg-page/95 pb-[env(safe-area-inset-bottom)] backdrop-blur-sm sm:hidden">
        <Navigation phone />
      </div>
      {shortcuts ? (
        <Suspense>
          <ShortcutsDialog onOpenChange={setShortcuts} />
        </Suspense>
      ) : null}
    </div>
  );
}
