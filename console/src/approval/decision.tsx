// The answer: approve or deny, with a comment, and for a review with the form's answer.

import { useMutation } from "@tanstack/react-query";
import { Check, X } from "lucide-react";
import { useState } from "react";
import { Problem, pathTo, post } from "../api/client";
import { approvalQuery, queryClient } from "../api/queries";
import type { Approval, Json } from "../api/types";
import { Button } from "../ui/button";
import { Exact } from "../ui/copy";
import { Confirm, ConfirmCancel } from "../ui/dialog";
import { Field, TextArea } from "../ui/field";
import { Card, Failure, Notice, Subject, Time } from "../ui/parts";
import { type Answer, errorsIn, filled, initialAnswer, isFormable } from "../ui/schema";
import { SchemaForm } from "../ui/schema-form";
import { Visible } from "../ui/visible";
import { useTimeLeft } from "./countdown";

type Verb = "approve" | "deny";

/** The form, or why there is none. A failed answer stays told when somebody else's takes its place. */
export function DecisionForm({ approval, blocked }: { approval: Approval; blocked: boolean }) {
  const [failure, setFailure] = useState<unknown>(null);
  return (
    <div className="flex flex-col gap-4">
      <Standing approval={approval} blocked={blocked} onFailure={setFailure} />
      {failure ? <DecisionFailure error={failure} /> : null}
    </div>
  );
}

interface Deciding {
  approval: Approval;
  blocked: boolean;
  onFailure: (error: unknown) => void;
}

function Standing({ approval, blocked, onFailure }: Deciding) {
  const left = useTimeLeft(approval.expires_at);
  if (approval.state !== "pending") return <Decided approval={approval} />;
  if (!approval.you_may) {
    return (
      <Notice tone="neutral" title="You may not decide this one">
        <Visible text={approval.why_not ?? "Your groups do not include one that may."} />
      </Notice>
    );
  }
  if (left === 0) {
    return (
      <Notice tone="warn" title="Time is up" role="status">
        Nobody answered in time. The run goes on without this step, or ends.
      </Notice>
    );
  }
  return <Open approval={approval} blocked={blocked} onFailure={onFailure} />;
}

function Decided({ approval }: { approval: Approval }) {
  const tone = approval.state === "approved" ? "ok" : approval.state === "denied" ? "bad" : "neutral";
  const said = {
    pending: "",
    approved: "Approved",
    denied: "Denied",
    expired: "It expired",
    withdrawn: "It was withdrawn",
  };
  return (
    <Notice tone={tone} title={said[approval.state]} role="status">
      {approval.decided_by ? (
        <p>
          by <Subject of={approval.decided_by} />
        </p>
      ) : null}
      {approval.decided_at ? (
        <p>
          <Time at={approval.decided_at} />
        </p>
      ) : null}
      {approval.comment ? (
        <p className="mt-2 text-ink">
          “<Visible text={approval.comment} lines />”
        </p>
      ) : null}
    </Notice>
  );
}

function Open({ approval, blocked, onFailure }: Deciding) {
  const form = isFormable(approval.form) ? approval.form : null;
  const asksJson = approval.form !== null && form === null;
  const [comment, setComment] = useState("");
  const [answer, setAnswer] = useState<Answer>(() => (form ? initialAnswer(form) : {}));
  const [json, setJson] = useState("{}");
  const [tried, setTried] = useState(false);
  const [verb, setVerb] = useState<Verb | null>(null);

  const errors = form ? errorsIn(form, answer) : {};
  let typed: Json = null;
  let jsonError: string | undefined;
  if (asksJson) {
    try {
      typed = JSON.parse(json) as Json;
    } catch {
      jsonError = "This is not JSON.";
    }
  }
  const isAnswered = Object.keys(errors).length === 0 && jsonError === undefined;

  const decide = useMutation({
    mutationFn: (verb: Verb) => {
      const said = comment.trim() === "" ? {} : { comment: comment.trim() };
      const given =
        verb === "approve" && approval.form !== null ? { answer: form ? filled(answer) : typed } : {};
      const path =
        verb === "approve"
          ? pathTo`/v1/approvals/${approval.id}/approve`
          : pathTo`/v1/approvals/${approval.id}/deny`;
      return post<Approval>(path, { digest: approval.arguments_digest, ...said, ...given });
    },
    onMutate: () => onFailure(null),
    onError: onFailure,
    onSuccess: (decided) => queryClient.setQueryData(approvalQuery(approval.id).queryKey, decided),
    onSettled: () => {
      setVerb(null);
      void queryClient.invalidateQueries({ queryKey: ["approvals"] });
      void queryClient.invalidateQueries({ queryKey: ["run", approval.run] });
    },
  });

  const ask = (next: Verb) => {
    setTried(true);
    if (next === "deny" || isAnswered) setVerb(next);
  };
  const isReview = approval.kind === "review";
  return (
    <Card className="p-5">
      <h2 className="mb-4 text-lg">{isReview ? "Your answer" : "Your decision"}</h2>
      <div className="flex flex-col gap-5">
        {form ? (
          <SchemaForm schema={form} answer={answer} errors={tried ? errors : {}} onChange={setAnswer} />
        ) : null}
        {asksJson ? (
          <Field label="Answer as JSON" error={tried ? jsonError : undefined}>
            {(wiring) => (
              <TextArea
                {...wiring}
                rows={6}
                className="font-mono text-sm!"
                value={json}
                onChange={(event) => setJson(event.target.value)}
              />
            )}
          </Field>
        ) : null}
        <Field label="Comment" optional hint="It stands in the ledger with your decision.">
          {(wiring) => (
            <TextArea
              {...wiring}
              rows={3}
              maxLength={2000}
              value={comment}
              onChange={(event) => setComment(event.target.value)}
            />
          )}
        </Field>
        <div className="grid grid-cols-2 gap-2.5">
          <Button look="danger" disabled={blocked || decide.isPending} onClick={() => ask("deny")}>
            <X aria-hidden className="size-4" /> Deny
          </Button>
          <Button look="primary" disabled={blocked || decide.isPending} onClick={() => ask("approve")}>
            <Check aria-hidden className="size-4" /> {isReview ? "Send" : "Approve"}
          </Button>
        </div>
      </div>
      <Confirm
        open={verb !== null}
        onOpenChange={(open) => (open ? undefined : setVerb(null))}
        title={
          verb === "deny"
            ? "Deny this request?"
            : isReview
              ? "Send your answer?"
              : "Approve exactly this request?"
        }
        actions={
          <>
            <ConfirmCancel asChild>
              <Button>Not yet</Button>
            </ConfirmCancel>
            <Button
              look={verb === "deny" ? "danger" : "primary"}
              disabled={decide.isPending}
              onClick={() => (verb ? decide.mutate(verb) : undefined)}
            >
              {decide.isPending
                ? "Sending…"
                : verb === "deny"
                  ? "Deny it"
                  : isReview
                    ? "Send it"
                    : "Approve it"}
            </Button>
          </>
        }
      >
        <p>
          <span className="font-medium text-ink">{approval.function}</span>
          {isReview ? null : (
            <>
              {" to "}
              <Visible text={approval.destination} className="break-all font-medium text-ink" />
            </>
          )}
          , asked by <Subject of={approval.requested_by} />.
        </p>
        <p className="mt-2 flex flex-wrap items-center gap-1">
          Digest <Exact value={approval.arguments_digest} />
        </p>
        <p className="mt-2">
          {verb === "deny"
            ? "The run learns that it was denied. This can’t be taken back."
            : "It is good once, for these bytes only."}
        </p>
      </Confirm>
    </Card>
  );
}

/** What a refusal means here, beside the server's words. */
function DecisionFailure({ error }: { error: unknown }) {
  const code = error instanceof Problem ? error.code : "";
  const status = error instanceof Problem ? error.status : 0;
  const means =
    code === "digest-mismatch"
      ? "The request changed after this page was opened. Nothing was decided: read it again."
      : code === "csrf"
        ? "This page lost touch with your session. Reload it, then decide again."
        : status === 409
          ? "Somebody was quicker, or the time ran out. The page now shows where it stands."
          : status === 403
            ? "You may not decide this one. The attempt stands in the ledger."
            : null;
  return (
    <div className="flex flex-col gap-2">
      <Failure error={error} />
      {means ? <p className="text-sm text-soft">{means}</p> : null}
    </div>
  );
}
