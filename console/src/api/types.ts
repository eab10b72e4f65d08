// The shapes of the public API that this console reads and writes.

import type { Json } from "../verify/canonical";

export type { Json };

export interface Page<T> {
  items: T[];
  next: string | null;
}

/** RFC 9457. `type` ends in the stable code. */
export interface ProblemBody {
  type: string;
  title: string;
  status: number;
  detail?: string;
  decision?: string;
  instance?: string;
  errors?: { pointer: string; message: string }[];
}

export interface TenantOffer {
  tenant: string;
  provider: string;
  /** Whether its provider signs people in by a browser; left out means yes. */
  browser?: boolean;
}

export interface Session {
  subject: string;
  name: string;
  tenant: string;
  groups: string[];
  csrf: string;
  expires_at: string;
}

export type RunState =
  | "pending"
  | "running"
  | "waiting"
  | "paused"
  | "completed"
  | "refused"
  | "faulted"
  | "cancelled";

export interface WorkClass {
  impact: string;
  data: string[];
}

export interface Run {
  run: string;
  state: RunState;
  waiting_for: string | null;
  worker: string;
  worker_version: string;
  environment: string;
  purpose: string;
  class: WorkClass;
  initiator: string;
  started_at: string;
  since: string;
  problem: ProblemBody | null;
}

export type Confidentiality = "public" | "internal" | "confidential" | "restricted";
export type Integrity = "untrusted" | "derived" | "authoritative";

export interface Labels {
  confidentiality: Confidentiality;
  integrity: Integrity;
  readers: "anyone" | { groups: string[] };
  categories?: string[];
  sources?: { origin: string; digest: string }[];
}

/** A value the ledger names by commitment only. */
export interface Stored {
  commitment?: string;
  labels?: Labels;
  size?: number;
}

/** A limit on one argument. */
export type ArgumentLimit =
  | { equals: Json }
  | { set: Json[] }
  | { prefix: string }
  | { range: { min?: number; max?: number } }
  | Record<string, Json>;

export interface Authority {
  audiences: string[];
  depth: number;
  environment?: string;
  functions: Record<string, Record<string, ArgumentLimit>>;
  /** Milliseconds since 1970. */
  not_after: number;
  scopes: string[];
}

/** What a ledger entry tells beside who, what and when. Members depend on its kind. */
export interface Details {
  [name: string]: unknown;
  step?: number;
  attempt?: number;
  path?: string;
  function?: string;
  status?: string;
  reason?: string | null;
  model?: string;
  legacy?: boolean;
  effect?: string;
  on_behalf_of?: string;
  authority?: Authority & { root?: string; subject?: string; grant?: string; owner?: string };
  arguments?: Stored;
  input?: Stored;
  output?: Stored;
  labels?: Labels;
  credential?: { name: string; version: number } | string | null;
  decision?: string;
  policy?: {
    summary?: string;
    digest?: string;
    determining?: { id: string; file?: string; description?: string }[];
  } | null;
  request?: { destination: string; audience: string | null; method: string; digest: string };
  scopes?: string[];
  token?: { authority: Authority | null; jti: string | null } | null;
  token_digest?: string | null;
  lease?: string | null;
  observed?: { reply_digest?: string };
  claimed_by_remote?: Record<string, unknown>;
  problem?: ProblemBody | null;
  waiting_for?: string | null;
  groups?: string[];
  approval?: string;
  by?: string;
  why?: string;
  final?: boolean;
  purpose?: string;
  worker?: string;
  digest?: string;
  detail?: string;
  environment?: string;
}

export interface Entry {
  index: number | null;
  time: string;
  kind: string;
  actor: string;
  run: string | null;
  seq: number | null;
  details: Details;
  unreadable?: string;
}

export interface Finding {
  cause: "stale-data" | "mis-scoped-retrieval" | "prompt-injection" | "bad-transform";
  step: number | null;
  says: string;
  /** Entries of the run, by their number in it and, once they are in the tree, their index. */
  evidence: { seq: number; entry: number | null }[];
}

export type ApprovalState = "pending" | "approved" | "denied" | "expired" | "withdrawn";

export interface Approval {
  id: string;
  kind: "gate" | "review";
  run: string;
  worker: string;
  worker_version: string;
  step: number;
  path: string;
  function: string;
  purpose: string;
  requested_by: string;
  groups: string[];
  destination: string;
  environment: string;
  arguments: Json;
  /** Null where `you_may_read` is false, and so are `arguments`, `form`, `title`, `comment` and `answer`. */
  canonical: string | null;
  you_may_read: boolean;
  arguments_digest: string;
  labels: Labels;
  form: JsonSchema | null;
  title: string | null;
  asked_at: string;
  expires_at: string;
  state: ApprovalState;
  decided_by: string | null;
  decided_at: string | null;
  comment: string | null;
  you_may: boolean;
  why_not: string | null;
}

export interface JsonSchema {
  type?: string | string[];
  title?: string;
  description?: string;
  properties?: Record<string, JsonSchema>;
  required?: string[];
  enum?: Json[];
  default?: Json;
  format?: string;
  pattern?: string;
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  items?: JsonSchema;
  additionalProperties?: boolean | JsonSchema;
}

export interface WorkerSpec {
  description?: string;
  environments?: string[];
  defaultEnvironment?: string;
  class?: WorkClass;
  functions?: string[];
  document?: {
    document?: { title?: string; summary?: string; version?: string };
    input?: { schema?: { document?: JsonSchema } };
  };
}

export interface Resource<S> {
  kind: string;
  metadata: { name: string; version: number; digest: string; writtenBy: string; writtenAt: string };
  spec: S;
}

/** What the stream of a run sends. */
export interface JournalEvent {
  seq: number;
  at: string;
  type: string;
  step?: number;
  attempt?: number;
  path?: string;
  function?: string;
  waiting_for?: string;
  state?: string;
}
