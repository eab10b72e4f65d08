// The proof: this browser verifies the passport against the pinned anchor, and hands the files out.

import { useMutation } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Check, CircleDashed, Download, FileSignature, ShieldCheck, ShieldX, X } from "lucide-react";
import { type RefObject, useEffect, useRef, useState } from "react";
import { getBytes, pathTo } from "../api/client";
import { isOver } from "../api/queries";
import type { Entry, Json, Run } from "../api/types";
import { Button } from "../ui/button";
import { Exact } from "../ui/copy";
import { Dialog } from "../ui/dialog";
import { join } from "../ui/join";
import { Card, Failure, Time } from "../ui/parts";
import type { TrustAnchor } from "../verify/anchor";
import { verifyArtifact } from "../verify/artifact";
import { Fingerprint } from "../verify/fingerprint";
import { canVerify } from "../verify/key";
import {
  type CheckName,
  type Check as CheckResult,
  comparePage,
  type PassportReport,
  verifyPassport,
} from "../verify/passport";
import { PinForm } from "../verify/pin-form";
import { usePinned } from "../verify/pinned";

const names: Record<CheckName, string> = {
  form: "The file is whole and canonical",
  keys: "Its keys follow from your anchor",
  seal: "The passport is signed",
  subject: "It is about this run",
  checkpoint: "The log signed its checkpoint",
  witness: "Witnesses cosigned it",
  statements: "Every entry is signed and hashed",
  chain: "Nothing of the run is left out",
  inclusion: "Every entry is in the log",
  page: "This page shows what was signed",
};

function save(bytes: Uint8Array<ArrayBuffer>, name: string): void {
  const url = URL.createObjectURL(new Blob([bytes], { type: "application/json" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

interface Verdict {
  report: PassportReport;
  checks: CheckResult[];
  holds: boolean;
  at: string;
}

async function verify(run: string, anchor: TrustAnchor, entries: Entry[]): Promise<Verdict> {
  if (!(await canVerify())) {
    throw new Error(
      "This browser can’t check Ed25519 signatures here. Use a current browser, or `mandate passport verify`.",
    );
  }
  const bytes = await getBytes(pathTo`/v1/runs/${run}/passport`);
  const report = await verifyPassport(bytes, anchor, run);
  const page = comparePage(
    report,
    entries.map(({ index, seq, kind, actor, time, details }) => ({
      index,
      seq,
      kind,
      actor,
      time,
      details: details as Json,
    })),
  );
  const checks = [...report.checks, page];
  return {
    report,
    checks,
    holds: checks.every((check) => check.outcome === "pass"),
    at: new Date().toISOString(),
  };
}

export function Proof({ run, entries }: { run: Run; entries: Entry[] }) {
  const { anchor } = usePinned();
  const [pinning, setPinning] = useState(false);
  const heading = useRef<HTMLParagraphElement>(null);
  const verifying = useMutation({ mutationFn: (with_: TrustAnchor) => verify(run.run, with_, entries) });
  const passport = useMutation({
    mutationFn: async () =>
      save(await getBytes(pathTo`/v1/runs/${run.run}/passport`), `${run.run}.passport.json`),
  });
  const over = isOver(run);
  const verdict = verifying.data;
  useEffect(() => {
    if (verdict) heading.current?.focus();
  }, [verdict]);
  return (
    <Card aria-labelledby="proof" className="overflow-hidden">
      <div className="p-5">
        <h2 id="proof" className="flex items-center gap-2.5 text-lg">
          <ShieldCheck aria-hidden className="size-5 text-faint" /> Proof
        </h2>
        {over ? (
          <p className="mt-1 text-sm text-soft">
            The passport tells this whole run in one signed file. Your browser checks it itself, against keys
            you pinned.
          </p>
        ) : (
          <p className="mt-1 text-sm text-soft">
            A passport tells a whole run, so it is there once the run has ended.
          </p>
        )}
        <div className="mt-4 flex flex-col gap-2.5">
          <Button
            look="primary"
            disabled={!over || verifying.isPending}
            onClick={() => (anchor ? verifying.mutate(anchor) : setPinning(true))}
          >
            {verifying.isPending ? "Checking…" : verdict ? "Verify again" : "Verify in this browser"}
          </Button>
          {anchor ? (
            <p className="text-xs text-faint">
              Against the anchor{" "}
              <Link to="/trust" className="font-mono text-soft underline underline-offset-4">
                {anchor.fingerprint.slice(7, 15)}…
              </Link>{" "}
              that you pinned
            </p>
          ) : (
            <p className="text-xs text-faint">
              You have not pinned a trust anchor yet. You are asked for it.
            </p>
          )}
        </div>
      </div>
      {verifying.isError ? (
        <div className="px-5 pb-5">
          {verifying.error.name === "Error" && !("status" in verifying.error) ? (
            <p role="alert" className="text-sm text-bad">
              {verifying.error.message}
            </p>
          ) : (
            <Failure error={verifying.error} />
          )}
        </div>
      ) : null}
      {verdict ? <VerdictView verdict={verdict} heading={heading} /> : null}
      <div className="flex flex-col gap-1 border-t border-line p-3">
        <Button
          look="quiet"
          disabled={!over || passport.isPending}
          className="justify-start"
          onClick={() => passport.mutate()}
        >
          <Download aria-hidden className="size-4" /> Download the passport
        </Button>
        <Artifact run={run} entries={entries} anchor={anchor} />
        {passport.isError ? <Failure error={passport.error} /> : null}
      </div>
      <Dialog
        open={pinning}
        onOpenChange={setPinning}
        title="Pin your trust anchor"
        lead="What does this browser trust? A server can’t answer that for you."
      >
        <PinForm onPinned={() => setPinning(false)} />
      </Dialog>
    </Card>
  );
}

function VerdictView({
  verdict,
  heading,
}: {
  verdict: Verdict;
  heading: RefObject<HTMLParagraphElement | null>;
}) {
  const { holds, checks, report } = verdict;
  return (
    <div className="appear border-t border-line">
      <div
        className={join(
          "flex items-start gap-3 px-5 py-4",
          holds ? "bg-ok-wash text-ok" : "bg-bad-wash text-bad",
        )}
      >
        {holds ? (
          <ShieldCheck aria-hidden className="size-6 shrink-0" />
        ) : (
          <ShieldX aria-hidden className="size-6 shrink-0" />
        )}
        <div>
          <p
            ref={heading}
            tabIndex={-1}
            role="status"
            className="font-semibold outline-none"
            data-testid="verdict"
          >
            {holds ? "The passport holds" : "The passport does not hold"}
          </p>
          <p className="text-sm text-soft">
            Checked here <Time at={verdict.at} />
          </p>
        </div>
      </div>
      <ol className="flex flex-col gap-3 px-5 py-4">
        {checks.map((check) => (
          <li
            key={check.name}
            className="flex gap-2.5 text-sm"
            data-check={check.name}
            data-outcome={check.outcome}
          >
            {check.outcome === "pass" ? (
              <Check aria-hidden className="mt-0.5 size-4 shrink-0 text-ok" />
            ) : check.outcome === "fail" ? (
              <X aria-hidden className="mt-0.5 size-4 shrink-0 text-bad" />
            ) : (
              <CircleDashed aria-hidden className="mt-0.5 size-4 shrink-0 text-faint" />
            )}
            <span className="min-w-0">
              <span
                className={join(
                  "block font-medium",
                  check.outcome === "fail" && "text-bad",
                  check.outcome === "skipped" && "text-faint",
                )}
              >
                {names[check.name]}
                <span className="sr-only">: {check.outcome}</span>
              </span>
              <span className="block break-words text-soft">{check.says}</span>
            </span>
          </li>
        ))}
      </ol>
      {report.cosignatures.length > 0 ? (
        <p className="px-5 pb-2 text-sm text-soft">
          Last cosigned{" "}
          <Time at={new Date(Math.max(...report.cosignatures.map((one) => one.time)) * 1000).toISOString()} />
        </p>
      ) : null}
      <details className="px-5 pb-4">
        <summary className="inline-flex min-h-6 items-center text-sm text-accent">Anchor and log</summary>
        <div className="mt-2 flex flex-col gap-2 text-sm text-soft">
          <p>Anchor, SHA-256</p>
          <Fingerprint of={report.fingerprint} className="grid-cols-2! text-xs" />
          {report.checkpoint ? (
            <>
              <p className="break-words">
                {report.checkpoint.origin}, {report.checkpoint.size} entries
              </p>
              <p>
                Root <Exact value={report.checkpoint.root} />
              </p>
            </>
          ) : null}
        </div>
      </details>
    </div>
  );
}

/** The signed result: handed out, and tied to the run by the digest in the ledger. */
function Artifact({ run, entries, anchor }: { run: Run; entries: Entry[]; anchor: TrustAnchor | null }) {
  const signed = entries.find((entry) => entry.kind === "artifact-signed");
  const fetched = useMutation({
    mutationFn: async () => {
      const bytes = await getBytes(pathTo`/v1/runs/${run.run}/artifact`);
      let says = "";
      let good = true;
      if (anchor !== null) {
        try {
          const artifact = await verifyArtifact(bytes, anchor);
          good = artifact.run === run.run && artifact.digest === signed?.details.digest;
          says = good
            ? "Its signature holds, and the ledger names this very file."
            : "It is not the file that the ledger names.";
        } catch (reason) {
          good = false;
          says = `Its signature does not hold: ${reason instanceof Error ? reason.message : "it can’t be read"}.`;
        }
      }
      save(bytes, `${run.run}.artefact.json`);
      return { good, says };
    },
  });
  if (!signed) return null;
  return (
    <>
      <Button
        look="quiet"
        className="justify-start"
        disabled={fetched.isPending}
        onClick={() => fetched.mutate()}
      >
        <FileSignature aria-hidden className="size-4" /> Download the artefact
      </Button>
      {fetched.data?.says ? (
        <p role="status" className={join("px-4 pb-2 text-sm", fetched.data.good ? "text-ok" : "text-bad")}>
          {fetched.data.says}
        </p>
      ) : null}
      {fetched.isError ? <Failure error={fetched.error} /> : null}
    </>
  );
}
