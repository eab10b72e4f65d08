// A form drawn from a JSON Schema.

import type { ReactNode } from "react";
import type { Json, JsonSchema } from "../api/types";
import { Field, Select, TextArea, TextInput, type Wiring } from "./field";
import { type Answer, controlFor, hintFor } from "./schema";
import { Visible } from "./visible";

/** One field for each property. */
export function SchemaForm({
  schema,
  answer,
  errors,
  onChange,
}: {
  schema: JsonSchema;
  answer: Answer;
  errors: Record<string, string>;
  onChange: (answer: Answer) => void;
}) {
  return (
    <div className="flex flex-col gap-5">
      {Object.entries(schema.properties ?? {}).map(([name, one]) => {
        const set = (value: Json | undefined) => onChange({ ...answer, [name]: value });
        const label = <Visible text={one.title ?? name} />;
        if (controlFor(one) === "boolean") {
          return (
            <YesOrNo
              key={name}
              label={label}
              hint={hintFor(one)}
              value={answer[name]}
              onChange={set}
              error={errors[name]}
            />
          );
        }
        return (
          <Field
            key={name}
            label={label}
            hint={hintFor(one)}
            error={errors[name]}
            optional={!schema.required?.includes(name)}
          >
            {(wiring) => <Control schema={one} value={answer[name]} onChange={set} wiring={wiring} />}
          </Field>
        );
      })}
    </div>
  );
}

function Control({
  schema,
  value,
  onChange,
  wiring,
}: {
  schema: JsonSchema;
  value: Json | undefined;
  onChange: (value: Json | undefined) => void;
  wiring: Wiring;
}) {
  const kind = controlFor(schema);
  if (kind === "choice") {
    const choices = schema.enum ?? [];
    const at = choices.findIndex((one) => JSON.stringify(one) === JSON.stringify(value));
    return (
      <Select {...wiring} value={at} onChange={(event) => onChange(choices[Number(event.target.value)])}>
        <option value={-1}>Choose…</option>
        {choices.map((one, n) => (
          <option key={JSON.stringify(one)} value={n}>
            {typeof one === "string" ? one : JSON.stringify(one)}
          </option>
        ))}
      </Select>
    );
  }
  if (kind === "number") {
    return (
      <TextInput
        {...wiring}
        type="number"
        step={schema.type === "integer" ? 1 : "any"}
        value={typeof value === "number" ? value : ""}
        onChange={(event) => onChange(event.target.value === "" ? undefined : event.target.valueAsNumber)}
      />
    );
  }
  const text = typeof value === "string" ? value : "";
  const set = (typed: string) => onChange(typed === "" ? undefined : typed);
  return kind === "area" ? (
    <TextArea {...wiring} rows={4} value={text} onChange={(event) => set(event.target.value)} />
  ) : (
    <TextInput {...wiring} value={text} onChange={(event) => set(event.target.value)} />
  );
}

function YesOrNo({
  label,
  hint,
  value,
  error,
  onChange,
}: {
  label: ReactNode;
  hint: string;
  value: Json | undefined;
  error: string | undefined;
  onChange: (value: boolean) => void;
}) {
  return (
    <div>
      <label className="flex items-start gap-3">
        <input
          type="checkbox"
          className="mt-1 size-4.5 shrink-0 accent-accent"
          checked={value === true}
          onChange={(event) => onChange(event.target.checked)}
        />
        <span>
          <span className="font-medium">{label}</span>
          {hint ? <span className="block text-sm text-soft">{hint}</span> : null}
        </span>
      </label>
      {error ? <p className="mt-1 text-sm text-bad">{error}</p> : null}
    </div>
  );
}
