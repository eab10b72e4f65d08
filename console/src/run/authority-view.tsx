// Identity hop by hop: the ladder from the person to each request, with what was left behind on each rung.

import { CornerDownRight, Hourglass, KeyRound, ShieldX, UserRound, Workflow } from "lucide-react";
import type { ReactNode } from "react";
import { count, lasting } from "../text/say";
import { Exact } from "../ui/copy";
import { join } from "../ui/join";
import { Card, Chip, Notice, Subject } from "../ui/parts";
import { Visible } from "../ui/visible";
import { type AuthorityView, type Hop, limitText, type Narrowing, widened } from "./authority";
import { AuthorityFlow } from "./authority-flow";

export function Authority({ view }: { view: AuthorityView }) {
  const wider = widened(view);
  return (
    <div className="flex flex-col gap-4">
      {wider.length > 0 ? (
        <Notice tone="bad" title="A hop holds more than its run" role="alert">
          {wider.join("; ")}. This must never be: keep the passport and tell whoever operates this.
        </Notice>
      ) : null}
      <Card className="overflow-hidden">
        {view.hops.length > 0 ? (
          <div className="hidden border-b border-line px-6 pb-2 pt-5 md:block">
            <AuthorityFlow view={view} />
          </div>
        ) : null}
        <ol>
          <Rung
            Icon={UserRound}
            title={<Subject of={view.initiator} />}
            says="starts the run with their own authority"
            level={0}
          >
            <Row name="Groups">
              {view.groups.length === 0 ? (
                <span className="text-faint">none</span>
              ) : (
                view.groups.map((one) => <Chip key={one}>{one}</Chip>)
              )}
            </Row>
          </Rung>
          {view.run ? <RunRung view={view} /> : null}
          {view.hops.map((hop) => (
            <HopRung key={hop.step} hop={hop} view={view} />
          ))}
        </ol>
      </Card>
    </div>
  );
}

const inset = ["", "sm:ml-8", "sm:ml-16"];

function Rung({
  Icon,
  title,
  says,
  level,
  tone = "accent",
  children,
}: {
  Icon: typeof UserRound;
  title: ReactNode;
  says: ReactNode;
  level: 0 | 1 | 2;
  tone?: "accent" | "warn" | "bad";
  children?: ReactNode;
}) {
  const looks = {
    accent: "bg-accent-wash text-accent",
    warn: "bg-warn-wash text-warn",
    bad: "bg-bad-wash text-bad",
  };
  return (
    <li className={join("border-b border-line px-4 py-4 last:border-b-0 sm:px-6", level > 0 && "relative")}>
      <div className={join("flex gap-3", inset[level])}>
        {level > 0 ? (
          <CornerDownRight aria-hidden className="mt-2 hidden size-4 shrink-0 text-faint sm:block" />
        ) : null}
        <span aria-hidden className={join("grid size-8 shrink-0 place-items-center rounded-lg", looks[tone])}>
          <Icon className="size-4.5" />
        </span>
        <div className="min-w-0 flex-1">
          <h3 className="font-medium">{title}</h3>
          <p className="text-sm text-soft">{says}</p>
          {children ? <dl className="mt-3 flex flex-col gap-2">{children}</dl> : null}
        </div>
      </div>
    </li>
  );
}

function Row({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="flex flex-col gap-x-4 gap-y-1 text-sm sm:flex-row">
      <dt className="w-24 shrink-0 pt-px text-faint">{name}</dt>
      <dd className="flex min-w-0 flex-1 flex-wrap items-center gap-1.5">{children}</dd>
    </div>
  );
}

/** What is kept, and beside it what was left behind. */
function Narrowed({ of: { kept, dropped } }: { of: Narrowing }) {
  return (
    <>
      {kept.map((one) => (
        <Chip key={one} tone="accent">
          <Visible text={one} className="break-all" />
        </Chip>
      ))}
      {dropped.map((one) => (
        <span
          key={one}
          className="inline-flex max-w-full rounded-md border border-dashed border-line-strong/70 px-1.5 py-px text-sm text-faint"
        >
          <span className="sr-only">not carried on: </span>
          <s className="break-all decoration-from-font">
            <Visible text={one} className="break-all" />
          </s>
        </span>
      ))}
      {kept.length + dropped.length === 0 ? <span className="text-faint">none</span> : null}
    </>
  );
}

/** A share of a time, as a bar and in words. */
function Lifetime({ of, within }: { of: number; within: number | null }) {
  const share = within === null || within <= 0 ? 1 : Math.min(1, of / within);
  return (
    <>
      <span aria-hidden className="h-1.5 w-28 overflow-hidden rounded-full bg-sunken ring-1 ring-line">
        <svg
          aria-hidden="true"
          viewBox="0 0 100 4"
          preserveAspectRatio="none"
          className="block h-full w-full"
        >
          <rect width={Math.max(1.5, share * 100)} height="4" className="fill-accent" />
        </svg>
      </span>
      <span>{lasting(Math.ceil(of / 1000) * 1000)}</span>
      {within !== null && share < 1 ? (
        <span className="text-faint">of the run’s {lasting(within)}</span>
      ) : null}
    </>
  );
}

function RunRung({ view }: { view: AuthorityView }) {
  const run = view.run;
  if (run === null) return null;
  const functions = Object.entries(run.functions);
  return (
    <Rung
      Icon={Workflow}
      title="The run’s authority"
      says="what of it this Worker needs for this run, and nothing else"
      level={1}
    >
      <Row name="Scopes">
        <Narrowed of={{ kept: run.scopes, dropped: [] }} />
      </Row>
      <Row name="Receivers">
        <Narrowed of={{ kept: run.audiences, dropped: [] }} />
      </Row>
      <Row name="Functions">
        {functions.length === 0 ? <span className="text-faint">none</span> : null}
        {functions.map(([name, limits]) => (
          <Chip key={name} tone="accent">
            {name}
            {Object.entries(limits).map(([at, limit]) => (
              <span key={at}>
                {" "}
                where <code>{at}</code> {limitText(limit)}
              </span>
            ))}
          </Chip>
        ))}
      </Row>
      {view.lifetime !== null ? (
        <Row name="Lasts">
          <Lifetime of={view.lifetime} within={null} />
        </Row>
      ) : null}
      <Row name="Handed on">
        <span>{run.depth > 0 ? `at most ${run.depth} levels deep, narrower each time` : "not at all"}</span>
      </Row>
    </Rung>
  );
}

function HopRung({ hop, view }: { hop: Hop; view: AuthorityView }) {
  const title = (
    <>
      <span className="font-normal tabular-nums text-faint">{hop.step}</span> {hop.function}
    </>
  );
  if (hop.waits) {
    return (
      <Rung
        Icon={Hourglass}
        title={title}
        says="waits for somebody’s word: nothing was sent, no token was made, no key was lent"
        level={2}
        tone="warn"
      >
        <Row name="Asks for">
          <Visible text={hop.destination} className="break-all" />
        </Row>
      </Rung>
    );
  }
  if (!hop.admitted) {
    return (
      <Rung
        Icon={ShieldX}
        title={title}
        says="was not let through: nothing was sent, no token was made"
        level={2}
        tone="bad"
      >
        <Row name="Asked for">
          <Visible text={hop.destination} className="break-all" />
        </Row>
      </Rung>
    );
  }
  if (hop.root === "grant") return <GrantRung hop={hop} title={title} />;
  return (
    <Rung
      Icon={KeyRound}
      title={title}
      says={`${hop.model}: a token made for this attempt, accepted once`}
      level={2}
    >
      <Row name="Scopes">
        <Narrowed of={hop.scopes} />
      </Row>
      <Row name="Receiver">
        <Narrowed of={hop.audiences} />
      </Row>
      <Row name="Function">
        <Narrowed of={hop.functions} />
      </Row>
      {hop.limits.length > 0 ? (
        <Row name="Arguments">
          {hop.limits.map(({ at, says }) => (
            <Chip key={at}>
              <code>{at}</code> {says}
            </Chip>
          ))}
        </Row>
      ) : null}
      {hop.lifetime !== null ? (
        <Row name="Lasts">
          <Lifetime of={hop.lifetime} within={view.lifetime} />
        </Row>
      ) : null}
      <Row name="Handed on">
        <span>
          {hop.depth === 0
            ? "not at all"
            : hop.depth === null
              ? "not said"
              : `at most ${count(hop.depth, "level")}`}
        </span>
      </Row>
      {hop.jti ? (
        <Row name="Token">
          <Exact value={hop.jti} />
        </Row>
      ) : null}
    </Rung>
  );
}

function GrantRung({ hop, title }: { hop: Hop; title: ReactNode }) {
  return (
    <Rung
      Icon={KeyRound}
      title={title}
      says="on an owner’s grant: nothing of the initiator’s authority is in it"
      level={2}
      tone="warn"
    >
      {hop.owner ? (
        <Row name="Granted by">
          <Subject of={hop.owner} />
        </Row>
      ) : null}
      {hop.grant ? (
        <Row name="Grant">
          <Visible text={hop.grant} className="break-all font-mono text-[0.8125rem]" />
        </Row>
      ) : null}
      {hop.credential ? (
        <Row name="Credential">
          <span>
            {hop.credential.name}
            {hop.credential.version !== null ? `, version ${hop.credential.version}` : ""}
          </span>
          {hop.legacy ? <Chip tone="warn">legacy: the receiver sees no identity</Chip> : null}
        </Row>
      ) : null}
      <Row name="Receiver">
        <Chip tone="warn">
          <Visible text={hop.destination} className="break-all" />
        </Chip>
      </Row>
      <Row name="Lasts">
        <span>
          {hop.leaseEnded ? "leased for this request; the lease has ended" : "leased for this request"}
        </span>
      </Row>
    </Rung>
  );
}
