// Small parts that every page uses.

import { CircleAlert, CircleCheck, Compass, Info, TriangleAlert } from "lucide-react";
import type { ComponentProps, ReactNode } from "react";
import { Problem } from "../api/client";
import { ago, fullTime, shortTime, subject } from "../text/say";
import { join } from "./join";
import { Visible } from "./visible";

export type Tone = "ok" | "warn" | "bad" | "doubt" | "accent" | "neutral";

export const tones: Record<Tone, { text: string; wash: string; dot: string; line: string }> = {
  ok: { text: "text-ok", wash: "bg-ok-wash", dot: "bg-ok", line: "border-ok/50" },
  warn: { text: "text-warn", wash: "bg-warn-wash", dot: "bg-warn", line: "border-warn/50" },
  bad: { text: "text-bad", wash: "bg-bad-wash", dot: "bg-bad", line: "border-bad/50" },
  doubt: { text: "text-doubt", wash: "bg-doubt-wash", dot: "bg-doubt", line: "border-doubt/50" },
  accent: { text: "text-accent", wash: "bg-accent-wash", dot: "bg-accent", line: "border-accent/50" },
  neutral: { text: "text-soft", wash: "bg-sunken", dot: "bg-faint", line: "border-line" },
};

/** A surface of its own. */
export function Card({ className, ...rest }: ComponentProps<"section">) {
  return (
    <section
      {...rest}
      className={join("rounded-card border border-line bg-surface shadow-card", className)}
    />
  );
}

/** A word about a state, with its colour and never by colour alone. */
export function Badge({
  tone,
  children,
  pulse = false,
}: {
  tone: Tone;
  children: ReactNode;
  pulse?: boolean;
}) {
  const look = tones[tone];
  return (
    <span
      className={join(
        "inline-flex items-center gap-1.5 whitespace-nowrap rounded-full px-2.5 py-0.5 text-sm font-medium",
        look.wash,
        look.text,
      )}
    >
      <span aria-hidden className={join("size-1.5 rounded-full", look.dot, pulse && "pulse")} />
      {children}
    </span>
  );
}

/** A small fact. */
export function Chip({ children, tone = "neutral" }: { children: ReactNode; tone?: Tone }) {
  const look = tones[tone];
  return (
    <span
      className={join(
        "inline-flex max-w-full flex-wrap items-center gap-x-1 rounded-md border px-1.5 py-px text-sm",
        look.line,
        look.wash,
        look.text,
      )}
    >
      {children}
    </span>
  );
}

const noticeIcons = {
  ok: CircleCheck,
  warn: TriangleAlert,
  bad: CircleAlert,
  doubt: TriangleAlert,
  accent: Info,
  neutral: Info,
};

/** Something to know before going on. */
export function Notice({
  tone,
  title,
  children,
  action,
  role,
}: {
  tone: Tone;
  title: ReactNode;
  children?: ReactNode;
  action?: ReactNode;
  role?: "alert" | "status";
}) {
  const look = tones[tone];
  const Icon = noticeIcons[tone];
  return (
    <div
      role={role}
      className={join("appear flex gap-3 rounded-card border px-4 py-3.5", look.wash, look.line)}
    >
      <Icon aria-hidden className={join("mt-0.5 size-5 shrink-0", look.text)} />
      <div className="flex min-w-0 flex-1 flex-wrap items-center justify-between gap-x-6 gap-y-3">
        <div className="min-w-0 flex-1 basis-64">
          <p className={join("font-medium", look.text)}>{title}</p>
          {children ? <div className="mt-0.5 text-sm text-soft">{children}</div> : null}
        </div>
        {action}
      </div>
    </div>
  );
}

/** What went wrong with a request, in the server's own words. */
export function Failure({ error, retry }: { error: unknown; retry?: () => void }) {
  const problem = error instanceof Problem ? error : null;
  const isNetwork = error instanceof TypeError && /fetch|network|load failed/i.test(error.message);
  const title =
    problem?.title ?? (isNetwork ? "The server can’t be reached" : "Something went wrong on this page");
  const advice = isNetwork
    ? "Check that it runs and that you are connected."
    : "Reload it; nothing was changed by this.";
  return (
    <Notice
      tone="bad"
      role="alert"
      title={<Visible text={title} />}
      action={
        retry ? (
          <button
            type="button"
            onClick={retry}
            className="min-h-6 text-sm font-medium text-bad underline underline-offset-4"
          >
            Try again
          </button>
        ) : undefined
      }
    >
      <Visible text={problem?.detail ?? advice} />
      {problem?.decision ? (
        <span className="block font-mono text-xs">decision {problem.decision}</span>
      ) : null}
    </Notice>
  );
}

/** Nothing here, and what to do about it. `page`: nothing else is on the page, so this is its heading. */
export function Empty({
  icon,
  title,
  children,
  action,
  page = false,
}: {
  icon: ReactNode;
  title: string;
  children?: ReactNode;
  action?: ReactNode;
  page?: boolean;
}) {
  const Heading = page ? "h1" : "p";
  return (
    <div className="flex flex-col items-center px-6 py-16 text-center">
      <div
        aria-hidden
        className="mb-4 grid size-12 place-items-center rounded-full bg-sunken text-faint [&_svg]:size-6"
      >
        {icon}
      </div>
      <Heading tabIndex={page ? -1 : undefined} className="text-lg font-semibold tracking-tight outline-none">
        {title}
      </Heading>
      {children ? <p className="mt-1 max-w-md text-soft">{children}</p> : null}
      {action ? <div className="mt-5">{action}</div> : null}
    </div>
  );
}

/** A page that can't be shown: because there is no such thing, or because something went wrong. */
export function PageFailure({ error, retry }: { error: unknown; retry?: () => void }) {
  if (error instanceof Problem && error.status === 404) {
    return (
      <Empty icon={<Compass />} title="There is nothing here" page>
        <Visible text={error.title} />. <Visible text={error.detail} />
      </Empty>
    );
  }
  return (
    <>
      <h1 className="sr-only">This page can’t be shown</h1>
      <Failure error={error} {...(retry ? { retry } : {})} />
    </>
  );
}

/** Something is on its way. */
export function Loading({ rows = 4, label = "Loading" }: { rows?: number; label?: string }) {
  return (
    <div role="status" aria-label={label} className="flex flex-col gap-3 p-5">
      {Array.from({ length: rows }, (_, n) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: placeholders have nothing else.
        <div key={n} className="flex gap-4">
          <div className="shimmer h-5 w-24 rounded" />
          <div className={join("shimmer h-5 rounded", n % 2 === 0 ? "w-1/2" : "w-1/3")} />
        </div>
      ))}
    </div>
  );
}

/** A moment; the whole of it is in its title. */
export function Time({ at, relative = false, now }: { at: string; relative?: boolean; now?: number }) {
  return (
    <time dateTime={at} title={fullTime(at)} className="whitespace-nowrap tabular-nums">
      {relative ? ago(at, now) : shortTime(at, now)}
    </time>
  );
}

/** Who: `user:finance-lead`, its kind in a lighter voice. */
export function Subject({ of }: { of: string }) {
  const { kind, name } = subject(of);
  return (
    <span className="break-words">
      {kind && kind !== "user" ? <span className="text-faint">{kind} </span> : null}
      <Visible text={name} className="font-medium" />
    </span>
  );
}

/** A name and its value, for lists of facts. */
export function Fact({
  name,
  wide = false,
  children,
}: {
  name: string;
  wide?: boolean;
  children: ReactNode;
}) {
  return (
    <div className={join("min-w-0", wide && "sm:col-span-2")}>
      <dt className="eyebrow">{name}</dt>
      <dd className="mt-0.5">{children}</dd>
    </div>
  );
}

/** A page's head. */
export function PageHead({
  title,
  lead,
  actions,
  above,
}: {
  title: ReactNode;
  lead?: ReactNode;
  actions?: ReactNode;
  above?: ReactNode;
}) {
  return (
    <header className="mb-6 flex flex-wrap items-end justify-between gap-x-8 gap-y-4">
      <div className="min-w-0">
        {above}
        <h1 tabIndex={-1} className="text-2xl outline-none sm:text-3xl">
          {title}
        </h1>
        {lead ? <p className="mt-1.5 max-w-2xl text-soft">{lead}</p> : null}
      </div>
      {actions ? <div className="flex flex-wrap items-center gap-2.5">{actions}</div> : null}
    </header>
  );
}
