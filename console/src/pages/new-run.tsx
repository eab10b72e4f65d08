// Starting a run: which Worker, what for, with what.

import { useMutation, useQuery } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { Bot, Play } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { Problem, post } from "../api/client";
import { queryClient, workersQuery } from "../api/queries";
import type { Json, Resource, Run, WorkerSpec } from "../api/types";
import { Button } from "../ui/button";
import { Field, Select, TextArea } from "../ui/field";
import { join } from "../ui/join";
import { Card, Chip, Empty, Failure, Loading, PageHead } from "../ui/parts";
import { type Answer, errorsIn, filled, initialAnswer, isFormable } from "../ui/schema";
import { SchemaForm } from "../ui/schema-form";
import { Visible } from "../ui/visible";

const route = getRouteApi("/frame/runs/new");
type Worker = Resource<WorkerSpec>;

export function NewRun() {
  const { worker: wanted } = route.useSearch();
  const workers = useQuery(workersQuery);
  const [chosen, setChosen] = useState(wanted ?? "");
  const items = workers.data?.items ?? [];
  const worker =
    items.find((one) => one.metadata.name === chosen) ?? (items.length === 1 ? items[0] : undefined);
  return (
    <div className="mx-auto max-w-3xl">
      <PageHead
        title="Start a run"
        lead="It runs under your identity, for the purpose you state here. Both stand in the ledger."
      />
      {workers.isPending ? <Loading label="Loading Workers" /> : null}
      {workers.isError ? <Failure error={workers.error} retry={() => void workers.refetch()} /> : null}
      {workers.isSuccess && items.length === 0 ? (
        <Card>
          <Empty icon={<Bot />} title="No Worker is shared with you">
            Its owner can give you the role of a runner. What you may not see looks the same as what is not
            there.
          </Empty>
        </Card>
      ) : null}
      {items.length > 0 ? (
        <div className="flex flex-col gap-6">
          <WorkerChoice workers={items} chosen={worker?.metadata.name ?? ""} onChoose={setChosen} />
          {worker ? <StartForm key={worker.metadata.digest} worker={worker} /> : null}
        </div>
      ) : null}
    </div>
  );
}

function WorkerChoice({
  workers,
  chosen,
  onChoose,
}: {
  workers: Worker[];
  chosen: string;
  onChoose: (name: string) => void;
}) {
  return (
    <fieldset>
      <legend className="mb-2 font-medium">Worker</legend>
      <div className="flex flex-col gap-2.5">
        {workers.map(({ metadata: { name }, spec }) => (
          <label
            key={name}
            className={join(
              "flex gap-3.5 rounded-card border bg-surface p-4 shadow-card has-focus-visible:outline-2 has-focus-visible:outline-accent",
              chosen === name ? "border-accent" : "border-line hover:border-line-strong",
            )}
          >
            <input
              type="radio"
              name="worker"
              className="mt-1 size-4 shrink-0 accent-accent"
              checked={chosen === name}
              onChange={() => onChoose(name)}
            />
            <span className="min-w-0">
              <span className="flex flex-wrap items-center gap-x-2.5 gap-y-1 font-medium">
                <Visible text={spec.document?.document?.title ?? name} />
                {spec.class ? <Chip>{spec.class.impact}</Chip> : null}
              </span>
              <span className="block font-mono text-sm text-faint">{name}</span>
              {spec.description ? (
                <Visible text={spec.description} className="mt-1 block text-sm text-soft" />
              ) : null}
            </span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}

function parsed(text: string): { value: Json } | { error: string } {
  try {
    return { value: JSON.parse(text) as Json };
  } catch (reason) {
    return { error: `Not JSON: ${reason instanceof Error ? reason.message : "it can't be read"}` };
  }
}

function StartForm({ worker }: { worker: Worker }) {
  const navigate = useNavigate();
  const { spec } = worker;
  const schema = spec.document?.input?.schema?.document;
  const formable = isFormable(schema);
  const [environment, setEnvironment] = useState(spec.defaultEnvironment ?? spec.environments?.[0] ?? "");
  const [purpose, setPurpose] = useState("");
  const [asJson, setAsJson] = useState(!formable);
  const [answer, setAnswer] = useState<Answer>(() => (formable ? initialAnswer(schema) : {}));
  const [json, setJson] = useState("{}");
  const [tried, setTried] = useState(false);
  // One key for one request: sent again after a lost answer, it starts nothing twice.
  const key = useRef(crypto.randomUUID());

  const read = asJson ? parsed(json) : { value: filled(answer) };
  const fieldErrors = !asJson && formable ? errorsIn(schema, answer) : {};
  const purposeError = purpose.trim() === "" ? "Say what this run is for." : undefined;
  const isReady = purposeError === undefined && "value" in read && Object.keys(fieldErrors).length === 0;

  // biome-ignore lint/correctness/useExhaustiveDependencies: whatever is asked for anew is another request.
  useEffect(() => {
    key.current = crypto.randomUUID();
  }, [environment, purpose, json, answer, asJson]);

  const start = useMutation({
    mutationFn: (input: Json) =>
      post<Run>(
        "/v1/runs",
        {
          worker: worker.metadata.name,
          purpose: purpose.trim(),
          input,
          ...(environment ? { environment } : {}),
        },
        { "idempotency-key": key.current },
      ),
    onSuccess: (run) => {
      void queryClient.invalidateQueries({ queryKey: ["runs"] });
      void navigate({ to: "/runs/$run", params: { run: run.run } });
    },
  });

  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    if (tried) form.current?.querySelector<HTMLElement>("[aria-invalid]")?.focus();
  }, [tried]);

  return (
    <form
      ref={form}
      noValidate
      className="flex flex-col gap-6"
      onSubmit={(event) => {
        event.preventDefault();
        setTried(true);
        if (isReady && "value" in read && !start.isPending) start.mutate(read.value);
      }}
    >
      <Card className="flex flex-col gap-6 p-5 sm:p-6">
        <Field
          label="Purpose"
          hint="One sentence. Approvers see it, and policies may ask for it."
          error={tried ? purposeError : undefined}
        >
          {(wiring) => (
            <TextArea
              {...wiring}
              rows={2}
              maxLength={500}
              required
              value={purpose}
              onChange={(event) => setPurpose(event.target.value)}
            />
          )}
        </Field>
        {spec.environments && spec.environments.length > 1 ? (
          <Field label="Environment" hint="Connections, credentials and policies differ by environment.">
            {(wiring) => (
              <Select
                {...wiring}
                value={environment}
                onChange={(event) => setEnvironment(event.target.value)}
              >
                {spec.environments?.map((one) => (
                  <option key={one} value={one}>
                    {one === spec.defaultEnvironment ? `${one} (default)` : one}
                  </option>
                ))}
              </Select>
            )}
          </Field>
        ) : null}
        <div>
          <div className="mb-3 flex flex-wrap items-center justify-between gap-3 border-t border-line pt-5">
            <h2 className="text-lg">Input</h2>
            {formable ? (
              <Button
                small
                look="quiet"
                onClick={() => {
                  if (!asJson) setJson(JSON.stringify(filled(answer), null, 2));
                  else if (
                    "value" in read &&
                    read.value !== null &&
                    typeof read.value === "object" &&
                    !Array.isArray(read.value)
                  ) {
                    setAnswer(read.value);
                  }
                  setAsJson(!asJson);
                }}
              >
                {asJson ? "Use the form" : "Write JSON"}
              </Button>
            ) : null}
          </div>
          {!asJson && formable ? (
            <SchemaForm
              schema={schema}
              answer={answer}
              errors={tried ? fieldErrors : {}}
              onChange={setAnswer}
            />
          ) : (
            <Field label="Input as JSON" error={tried && "error" in read ? read.error : undefined}>
              {(wiring) => (
                <TextArea
                  {...wiring}
                  rows={8}
                  spellCheck={false}
                  className="font-mono text-sm!"
                  value={json}
                  onChange={(event) => setJson(event.target.value)}
                />
              )}
            </Field>
          )}
        </div>
      </Card>
      {start.isError ? <StartFailure error={start.error} /> : null}
      <div className="flex justify-end">
        <Button type="submit" look="primary" aria-disabled={start.isPending} className="w-full sm:w-auto">
          <Play aria-hidden className="size-4" />
          {start.isPending ? "Starting…" : "Start the run"}
        </Button>
      </div>
    </form>
  );
}

function StartFailure({ error }: { error: unknown }) {
  return (
    <div className="flex flex-col gap-2">
      <Failure error={error} />
      {error instanceof Problem && error.errors.length > 0 ? (
        <ul className="list-disc pl-6 text-sm text-soft">
          {error.errors.map(({ pointer, message }) => (
            <li key={pointer + message}>
              <code className="text-ink">{pointer}</code> {message}
            </li>
          ))}
        </ul>
      ) : null}
    </div>
  );
}
