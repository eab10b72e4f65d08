import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { Entry, Labels } from "../api/types";
import { authorityOf, limitText, widened } from "./authority";
import { readersText, rose, sank, secrecy, trust } from "./labels";
import { influencedBy, lineageOf } from "./lineage";
import { because, tell, verdictOnly } from "./story";

const entriesOf = (name: string): Entry[] => JSON.parse(readFileSync(`tests/fixtures/${name}`, "utf8")).items;
const whole = tell(entriesOf("entries.json"));

let seq = 0;
const entry = (kind: string, details: Entry["details"] = {}): Entry => ({
  index: seq,
  seq: seq++,
  time: "2026-11-22T12:00:00.000Z",
  kind,
  actor: "system:engine",
  run: "run_1",
  details,
});

describe("a run's story", () => {
  it("gathers decisions, leases and outcomes under their steps", () => {
    expect(whole.steps.map((step) => [step.function, step.state, step.attempts.length])).toEqual([
      ["warehouse.revenue", "succeeded", 1],
      ["ledgerbook.costs", "succeeded", 1],
      ["report.publish", "succeeded", 1],
    ]);
    expect(whole.beats.map((beat) => (beat.kind === "step" ? beat.step.number : beat.entry.kind))).toEqual([
      "run-started",
      1,
      2,
      3,
      "artifact-signed",
      "run-completed",
    ]);
    expect(whole.steps[1]?.entries.map((one) => one.kind)).toEqual([
      "step-decided",
      "lease-ended",
      "step-succeeded",
    ]);
  });

  it("tells a refusal with its reason", () => {
    const refused = tell(entriesOf("entries-refused.json"));
    expect(refused.steps[0]?.state).toBe("refused");
    expect(because(refused.steps[0]?.decision?.details ?? {})).toContain("outside the authority");
    expect(refused.end?.kind).toBe("run-refused");
  });

  it("follows retries, doubt and a person's word", () => {
    const decided = (attempt: number) =>
      entry("step-decided", { step: 1, attempt, status: "allow", function: "a.b" });
    const retried = tell([
      decided(1),
      entry("step-failed", { step: 1, attempt: 1, final: false }),
      decided(2),
    ]);
    expect(retried.steps[0]).toMatchObject({ state: "admitted", endedAt: null });
    expect(retried.steps[0]?.attempts.map((one) => one.outcome?.kind)).toEqual(["step-failed", undefined]);
    expect(tell([decided(1), entry("step-in-doubt", { step: 1 })]).steps[0]?.state).toBe("in-doubt");

    const asked = entry("approval-requested", { step: 2, approval: "apr_1", function: "mail.send" });
    expect(tell([asked]).steps[0]?.state).toBe("waiting");
    expect(tell([asked, entry("approval-denied", { step: 2 })]).steps[0]?.state).toBe("denied");
    expect(tell([asked, entry("run-killed")]).steps[0]?.state).toBe("stopped");
    expect(tell([entry("step-decided", { step: 1, status: "not-yet" })]).steps[0]?.state).toBe("waiting");
  });

  it("says a policy's verdict without repeating its question", () => {
    expect(verdictOnly("a may b on c: permitted by x (Because).")).toBe("permitted by x (Because).");
    expect(verdictOnly("worker:a/b may not function.call on Function f/mail.send yet: it waits")).toBe(
      "it waits",
    );
    expect(verdictOnly("outside the authority of this run: scope")).toBe(
      "outside the authority of this run: scope",
    );
  });
});

describe("authority", () => {
  const view = authorityOf(whole);

  it("narrows from the run to each hop", () => {
    const [revenue, costs, publish] = view.hops;
    expect(view.lifetime).toBe(3_600_000);
    expect(revenue?.scopes).toEqual({ kept: ["warehouse.revenue.read"], dropped: ["report.publish"] });
    expect(revenue?.audiences.dropped).toHaveLength(1);
    expect(revenue?.limits).toEqual([{ at: "/quarter", says: 'begins with "20"' }]);
    expect(revenue?.lifetime).toBeLessThanOrEqual(60_000);
    expect(revenue?.depth).toBe(0);
    expect(publish?.root).toBe("initiator");
    expect(costs).toMatchObject({
      root: "grant",
      owner: "user:finance-director",
      legacy: true,
      lifetime: null,
    });
    expect(costs?.leaseEnded).toBe(true);
    expect(widened(view)).toEqual([]);
  });

  it("notices a hop that holds more than its run", () => {
    const wider = structuredClone(view);
    wider.hops[0]?.scopes.kept.push("everything");
    expect(widened(wider)).toEqual(["step 1: scope everything"]);
  });

  it("says every limit, also one it does not know", () => {
    expect(limitText({ equals: 3 })).toBe("is 3");
    expect(limitText({ set: ["a", "b"] })).toBe('is one of "a", "b"');
    expect(limitText({ range: { min: 1, max: 5 } })).toBe("from 1 to 5");
    expect(limitText({ range: { max: 5 } })).toBe("at most 5");
    expect(limitText({ unheard: true })).toBe('{"unheard":true}');
  });
});

describe("lineage", () => {
  const lineage = lineageOf(whole);

  it("draws what influenced what, without repeating itself", () => {
    const titles = new Map(lineage.nodes.map((one) => [one.id, one.title]));
    expect(lineage.edges.map(({ from, to }) => [titles.get(from), titles.get(to)])).toEqual([
      ["Input of the run", "warehouse.revenue"],
      ["warehouse.revenue", "ledgerbook.costs"],
      ["ledgerbook.costs", "report.publish"],
      ["report.publish", "quarterly-summary"],
    ]);
    const [input] = lineage.nodes;
    expect(influencedBy(lineage, input?.id ?? "")).toHaveLength(4);
  });

  it("lays out independent sources side by side", () => {
    const source = (origin: string, digest: string) => ({ origin, digest });
    const labels = (...sources: { origin: string; digest: string }[]): Labels => ({
      confidentiality: "internal",
      integrity: "derived",
      readers: "anyone",
      sources,
    });
    const a = source("a", "sha256:a");
    const b = source("b", "sha256:b");
    const call = (step: number, given: Labels, reply: string) => [
      entry("step-decided", { step, status: "allow", function: `f${step}`, arguments: { labels: given } }),
      entry("step-succeeded", { step, observed: { reply_digest: reply } }),
    ];
    const drawn = lineageOf(
      tell([
        ...call(1, labels(), "sha256:a"),
        ...call(2, labels(), "sha256:b"),
        ...call(3, labels(a, b), "sha256:c"),
      ]),
    );
    expect(drawn.nodes.map((one) => [one.layer, one.row])).toEqual([
      [0, 0],
      [0, 1],
      [1, 0],
    ]);
    expect(drawn.edges).toHaveLength(2);
  });
});

describe("labels", () => {
  const low: Labels = { confidentiality: "public", integrity: "authoritative", readers: "anyone" };
  const high: Labels = { confidentiality: "restricted", integrity: "untrusted", readers: { groups: [] } };

  it("are ordered, the unknown counting as the strictest", () => {
    expect([secrecy(low), secrecy(high), trust(low), trust(high)]).toEqual([0, 3, 2, 0]);
    expect(secrecy({ confidentiality: "cosmic" as never })).toBe(3);
    expect(trust({ integrity: "guess" as never })).toBe(0);
  });

  it("tell what rose, and notice what sank", () => {
    expect(rose(low, high)).toEqual(["public → restricted", "authoritative → untrusted", "readers: nobody"]);
    expect(rose(low, low)).toEqual([]);
    expect([sank(low, high), sank(high, low)]).toEqual([false, true]);
    expect(readersText({ groups: ["finance", "audit"] })).toBe("finance, audit");
  });
});
