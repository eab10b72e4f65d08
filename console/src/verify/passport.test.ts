import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { readAnchor, type TrustAnchor } from "./anchor";
import { verifyArtifact } from "./artifact";
import { type Bytes, fromBase64, toBase64, utf8 } from "./bytes";
import { canonical, canonicalText, type Json, parseCanonical } from "./canonical";
import { comparePage, type PassportReport, verifyPassport } from "./passport";

const fixture = (name: string): Bytes => new Uint8Array(readFileSync(`tests/fixtures/${name}`));
const anchorText = new TextDecoder().decode(fixture("trust.json"));
const passport = fixture("passport.json");
type Loose = Record<string, Json> & { payload: string; signatures: { sig: string; keyid: string }[] };

let anchor: TrustAnchor;
let run: string;

/** The outer envelope and the body inside, to be changed and put together again. */
function opened(bytes: Bytes): { envelope: Loose; body: Record<string, Json> } {
  const envelope = JSON.parse(new TextDecoder().decode(bytes)) as Loose;
  const body = JSON.parse(new TextDecoder().decode(fromBase64(envelope.payload))) as Record<string, Json>;
  return { envelope, body };
}

function closed(envelope: Loose, body: Record<string, Json>): Bytes {
  return canonical({ ...envelope, payload: toBase64(canonical(body)) });
}

function firstFailure(report: PassportReport): string | undefined {
  return report.checks.find((check) => check.outcome === "fail")?.name;
}

beforeAll(async () => {
  anchor = await readAnchor(anchorText);
  run = opened(passport).body.run as string;
});

describe("a real passport", () => {
  it("holds, check by check", async () => {
    const report = await verifyPassport(passport, anchor, run);
    expect(report.checks.filter((check) => check.outcome !== "pass")).toEqual([]);
    expect(report.holds).toBe(true);
    expect(report.entries.map((entry) => entry.kind)).toContain("run-completed");
    expect(report.cosignatures.map((one) => one.witness)).toEqual(["mandate.local/witness"]);
  });

  it("holds after every key was rotated, from the same anchor", async () => {
    const rotated = fixture("passport-rotated.json");
    const report = await verifyPassport(rotated, anchor, opened(rotated).body.run as string);
    expect(report.holds).toBe(true);
    expect(report.checks.find((check) => check.name === "keys")?.says).toContain("3 signed successors");
  });

  it("is what the page shows, unless the page was lied to", async () => {
    const report = await verifyPassport(passport, anchor, run);
    const shown = JSON.parse(new TextDecoder().decode(fixture("entries.json"))).items;
    expect(comparePage(report, shown).outcome).toBe("pass");
    const lied = structuredClone(shown);
    lied[0].details.purpose = "Another purpose";
    expect(comparePage(report, lied)).toMatchObject({ outcome: "fail" });
    expect(comparePage(report, shown.slice(1))).toMatchObject({ outcome: "fail" });
    expect(comparePage(report, [...shown, shown[0]])).toMatchObject({ outcome: "fail" });
  });
});

describe("a tampered passport", () => {
  it("fails wherever one byte is changed", async () => {
    // Every 97th byte, and each of the last ones: spread over envelopes, signatures, proofs and entries.
    const places = new Set(
      [...Array(passport.length).keys()].filter((at) => at % 97 === 0 || at > passport.length - 8),
    );
    const held: number[] = [];
    for (const at of places) {
      const bytes = passport.slice();
      bytes[at] = (bytes[at] ?? 0) ^ 0x01;
      if ((await verifyPassport(bytes, anchor, run)).holds) held.push(at);
    }
    expect(held).toEqual([]);
  }, 30_000);

  it("fails when the body was edited and put together again", async () => {
    const edits: [string, (body: Record<string, Json>) => void, string][] = [
      ["an entry left out", (body) => void (body.statements as Json[]).splice(3, 1), "seal"],
      [
        "another checkpoint",
        (body) => void (body.checkpoint = `${body.checkpoint}`.replace("\n", "x\n")),
        "seal",
      ],
      ["another tenant", (body) => void (body.tenant = "other"), "keys"],
      ["an unknown tenant", (body) => void (body.tenant = "nobody"), "keys"],
    ];
    for (const [what, edit, expected] of edits) {
      const { envelope, body } = opened(passport);
      edit(body);
      const report = await verifyPassport(closed(envelope, body), anchor, run);
      expect([what, firstFailure(report), report.holds, report.entries]).toEqual([what, expected, false, []]);
    }
  });

  it("fails under another's name, spelling or type", async () => {
    expect(firstFailure(await verifyPassport(passport, anchor, "run_01M82D1707FM9DDSBSW9GFC75X"))).toBe(
      "subject",
    );
    const spaced = utf8(`${new TextDecoder().decode(passport)} `);
    expect(firstFailure(await verifyPassport(spaced, anchor, run))).toBe("form");
    const { envelope, body } = opened(passport);
    envelope.payloadType = "application/json";
    expect(firstFailure(await verifyPassport(closed(envelope, body), anchor, run))).toBe("seal");
    expect((await verifyPassport(utf8("{}"), anchor, run)).holds).toBe(false);
    expect((await verifyPassport(new Uint8Array(0), anchor, run)).holds).toBe(false);
  });
});

/** A forger with keys of their own: signs everything anew, as they like. */
async function forged(
  change: (body: Record<string, Json>) => void,
): Promise<{ bytes: Bytes; evidence: string }> {
  const pair = (await crypto.subtle.generateKey({ name: "Ed25519" }, true, [
    "sign",
    "verify",
  ])) as CryptoKeyPair;
  const jwk = await crypto.subtle.exportKey("jwk", pair.publicKey);
  const thumb = await crypto.subtle.digest("SHA-256", utf8(`{"crv":"Ed25519","kty":"OKP","x":"${jwk.x}"}`));
  const keyid = Buffer.from(thumb).toString("base64url");
  const sign = async (type: string, payload: Bytes): Promise<Json> => {
    const pae = utf8(`DSSEv1 ${type.length} ${type} ${payload.length} `);
    const message = new Uint8Array([...pae, ...payload]);
    const sig = new Uint8Array(await crypto.subtle.sign({ name: "Ed25519" }, pair.privateKey, message));
    return { payload: toBase64(payload), payloadType: type, signatures: [{ keyid, sig: toBase64(sig) }] };
  };
  const { body } = opened(passport);
  change(body);
  for (const statement of body.statements as { dsse: Json }[]) {
    const payload = fromBase64((statement.dsse as Loose).payload);
    statement.dsse = await sign("application/vnd.in-toto+json", payload);
  }
  const bytes = canonical(await sign("application/vnd.mandate.passport+json", canonical(body)));
  return { bytes, evidence: jwk.x ?? "" };
}

describe("a forged passport", () => {
  it("fails when it is signed by keys the anchor does not lead to", async () => {
    const { bytes } = await forged(() => {});
    expect(firstFailure(await verifyPassport(bytes, anchor, run))).toBe("seal");
  });

  it("fails in chain, proof, checkpoint or witness even when the evidence key itself is stolen", async () => {
    const cases: [string, (body: Record<string, Json>) => void, string][] = [
      ["an entry left out", (body) => void (body.statements as Json[]).splice(3, 1), "chain"],
      ["the end left out", (body) => void (body.statements as Json[]).pop(), "chain"],
      ["entries swapped", (body) => void (body.statements as Json[]).reverse(), "chain"],
      [
        "a proof of another leaf",
        (body) => {
          const [first, second] = body.statements as { proof: Json }[];
          if (first && second) first.proof = second.proof;
        },
        "inclusion",
      ],
      [
        "a proof made longer",
        (body) => {
          const [first] = body.statements as { proof: Json[] }[];
          first?.proof.push(first.proof[0] ?? "");
        },
        "inclusion",
      ],
      [
        "no witness",
        (body) => void (body.checkpoint = `${`${body.checkpoint}`.split("\n").slice(0, 5).join("\n")}\n`),
        "witness",
      ],
      [
        "another tree",
        (body) =>
          void (body.checkpoint = `${body.checkpoint}`.replace(
            /\n(\d+)\n/,
            (_, n) => `\n${Number(n) + 1}\n`,
          )),
        "checkpoint",
      ],
    ];
    for (const [what, change, expected] of cases) {
      const { bytes, evidence } = await forged(change);
      const stolen = JSON.parse(anchorText);
      stolen.tenants.demo.evidence = evidence;
      const report = await verifyPassport(bytes, await readAnchor(JSON.stringify(stolen)), run);
      expect([what, firstFailure(report)]).toEqual([what, expected]);
    }
  });
});

describe("the anchor", () => {
  it("is fingerprinted as the file it is", async () => {
    const { createHash } = await import("node:crypto");
    expect(anchor.fingerprint).toBe(`sha256:${createHash("sha256").update(anchorText).digest("hex")}`);
  });

  it("refuses what would trust nothing, or too much", async () => {
    const bad = (change: (anchor: ReturnType<typeof JSON.parse>) => void) => {
      const value = JSON.parse(anchorText);
      change(value);
      return readAnchor(JSON.stringify(value));
    };
    await expect(readAnchor("not json")).rejects.toThrow("JSON");
    await expect(bad((v) => (v.quorum = 0))).rejects.toThrow("quorum");
    await expect(bad((v) => (v.quorum = 2))).rejects.toThrow("quorum");
    await expect(bad((v) => (v.format = "x"))).rejects.toThrow("format");
    await expect(bad((v) => v.witnesses.push(v.witnesses[0]))).rejects.toThrow("share");
    await expect(bad((v) => (v.tenants.other.evidence = v.tenants.demo.evidence))).rejects.toThrow(
      "two roles",
    );
    await expect(bad((v) => (v.witnesses = [v.tenants.demo.log]))).rejects.toThrow("another type");
    await expect(bad((v) => (v.extra = 1))).rejects.toThrow("extra");
  });
});

describe("an artefact", () => {
  it("verifies, and is the one the ledger names", async () => {
    const artifact = await verifyArtifact(fixture("artifact.json"), anchor);
    const report = await verifyPassport(passport, anchor, run);
    const signed = report.entries.find((entry) => entry.kind === "artifact-signed");
    expect(signed?.details).toMatchObject({ digest: artifact.digest });
    const changed = fixture("artifact.json");
    changed[200] = (changed[200] ?? 0) ^ 1;
    await expect(verifyArtifact(changed, anchor)).rejects.toThrow();
  });
});

describe("canonical JSON", () => {
  it("is that of RFC 8785", () => {
    expect(canonicalText({ b: 1.0, a: "€", "\u{1f600}": [null, true], "\ufb33": 1e21 })).toBe(
      '{"a":"€","b":1,"😀":[null,true],"\ufb33":1e+21}',
    );
    for (const other of ['{"b":1,"a":1}', '{"a":1.0}', '{"a":1,"a":1}', '{"a": 1}', '"\\u20ac"', "[1"]) {
      expect(() => parseCanonical(utf8(other))).toThrow();
    }
  });
});
