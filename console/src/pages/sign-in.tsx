// Signing in: the choice of the tenant; the rest is its provider's business.

import { useQuery } from "@tanstack/react-query";
import { getRouteApi, useRouter } from "@tanstack/react-router";
import { ArrowRight } from "lucide-react";
import { useEffect } from "react";
import { sessionQuery, tenantsQuery } from "../api/queries";
import { safeReturn, signInAt } from "../session/session";
import { Mark } from "../shell/mark";
import { Failure, Loading, Notice } from "../ui/parts";
import { Visible } from "../ui/visible";

const route = getRouteApi("/sign-in");

export function SignIn() {
  const { return_to } = route.useSearch();
  const router = useRouter();
  const session = useQuery(sessionQuery);
  const tenants = useQuery(tenantsQuery);
  const isSignedIn = Boolean(session.data);
  useEffect(() => {
    if (isSignedIn) router.history.replace(safeReturn(return_to));
  }, [isSignedIn, return_to, router]);
  return (
    <main className="grid min-h-dvh lg:grid-cols-[1.05fr_1fr]">
      <div className="flex flex-col justify-center px-6 py-12 sm:px-12 lg:px-20">
        <div className="mx-auto w-full max-w-md">
          <p className="flex items-center gap-3 text-xl font-semibold tracking-tight">
            <Mark className="size-9 text-accent" />
            Mandate
          </p>
          <h1 className="mt-9 text-3xl">Sign in</h1>
          <p className="mt-2 text-soft">
            Choose your organisation. You sign in at its own identity provider.
          </p>
          {return_to && safeReturn(return_to) !== "/" ? (
            <div className="mt-5">
              <Notice tone="accent" title="You are not signed in" role="status">
                After signing in you come back to where you were.
              </Notice>
            </div>
          ) : null}
          <div className="mt-7">
            {tenants.isPending ? <Loading rows={2} /> : null}
            {tenants.isError ? <Failure error={tenants.error} retry={() => void tenants.refetch()} /> : null}
            <ul className="flex flex-col gap-3">
              {tenants.data?.map(({ tenant, provider }) => (
                <li key={tenant}>
                  <a
                    href={signInAt(tenant, return_to)}
                    className="group flex min-h-16 items-center gap-4 rounded-card border border-line bg-surface px-4 shadow-card transition-colors hover:border-line-strong"
                  >
                    <span
                      aria-hidden
                      className="grid size-10 place-items-center rounded-lg bg-accent-wash font-semibold uppercase text-accent"
                    >
                      {tenant.slice(0, 1)}
                    </span>
                    <span className="min-w-0 flex-1">
                      <Visible text={tenant} className="block font-medium" />
                      <Visible text={provider} className="block text-sm text-soft" />
                    </span>
                    <ArrowRight
                      aria-hidden
                      className="size-5 text-faint transition-transform group-hover:translate-x-0.5"
                    />
                  </a>
                </li>
              ))}
            </ul>
            {tenants.data?.length === 0 ? (
              <Notice tone="warn" title="No organisation is set up here">
                An operator configures an identity provider for each tenant.
              </Notice>
            ) : null}
          </div>
        </div>
      </div>
      <aside className="hidden flex-col justify-center border-l border-line bg-surface px-16 lg:flex">
        <Ladder />
        <p className="mt-10 max-w-md text-xl font-medium tracking-tight">
          Treat each orchestrated step as a verified request, not as a trusted continuation.
        </p>
        <p className="mt-3 max-w-md text-soft">
          Who asked, on whose authority, for which purpose, with which data. Judged before it is done, proven
          afterwards.
        </p>
      </aside>
    </main>
  );
}

/** Authority that narrows from a person to one request. */
function Ladder() {
  const rungs = [
    { name: "A person’s authority", width: "w-full", tone: "bg-accent" },
    { name: "One run, for one purpose", width: "w-3/4", tone: "bg-accent/75" },
    { name: "One step, one receiver", width: "w-1/2", tone: "bg-accent/55" },
    { name: "One request, for seconds", width: "w-1/4", tone: "bg-accent/40" },
  ];
  return (
    <ol className="flex max-w-md flex-col gap-4">
      {rungs.map(({ name, width, tone }) => (
        <li key={name}>
          <span className="text-sm text-soft">{name}</span>
          <span aria-hidden className={`mt-1.5 block h-2.5 rounded-full ${width} ${tone}`} />
        </li>
      ))}
    </ol>
  );
}
