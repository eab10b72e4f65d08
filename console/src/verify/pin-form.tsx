// Choosing the trust anchor: a file of one's own, by picking, dropping or pasting it.

import { FileKey2 } from "lucide-react";
import { useState } from "react";
import { Button } from "../ui/button";
import { Field, TextArea } from "../ui/field";
import { join } from "../ui/join";
import { readAnchor, type TrustAnchor } from "./anchor";
import { Fingerprint } from "./fingerprint";
import { pin } from "./pinned";

/** Reads a file, shows its fingerprint, and pins it once the person says that it is the one. */
export function PinForm({ onPinned }: { onPinned?: () => void }) {
  const [file, setFile] = useState("");
  const [read, setRead] = useState<TrustAnchor | null>(null);
  const [error, setError] = useState("");
  const [pasting, setPasting] = useState(false);
  const [over, setOver] = useState(false);

  const take = async (text: string) => {
    setFile(text);
    setRead(null);
    setError("");
    try {
      setRead(await readAnchor(text));
    } catch (reason) {
      setError(reason instanceof Error ? reason.message : "It can't be read.");
    }
  };

  if (read !== null) {
    return (
      <div className="flex flex-col gap-4">
        <p>
          Compare this fingerprint with the one you were told, or with what the command prints where the file
          came from.
        </p>
        <Fingerprint of={read.fingerprint} />
        <pre className="overflow-x-auto rounded-lg bg-sunken px-3 py-2 font-mono text-sm text-soft">
          sha256sum trust.json
        </pre>
        <p className="text-sm text-soft">
          It trusts {read.witnesses.map((one) => one.name).join(", ")} as witness, for{" "}
          {[...read.tenants.keys()].join(", ")}.
        </p>
        <div className="flex flex-wrap gap-2.5">
          <Button look="primary" onClick={() => void pin(file).then(onPinned)}>
            It matches: pin it
          </Button>
          <Button onClick={() => setRead(null)}>Another file</Button>
        </div>
      </div>
    );
  }
  return (
    <div className="flex flex-col gap-3">
      <label
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={(event) => {
          event.preventDefault();
          setOver(false);
          void event.dataTransfer.files[0]?.text().then(take);
        }}
        className={join(
          "relative flex flex-col items-center gap-1 rounded-card border-2 border-dashed px-4 py-6 text-center has-focus-visible:outline-2 has-focus-visible:outline-offset-2 has-focus-visible:outline-accent",
          over ? "border-accent bg-accent-wash" : "border-line-strong/60 hover:border-line-strong",
        )}
      >
        <FileKey2 aria-hidden className="mb-1 size-6 text-faint" />
        <span className="font-medium">Choose trust.json</span>
        <span className="text-sm text-soft">or drop it here. It stays in this browser.</span>
        <input
          type="file"
          accept="application/json,.json"
          className="sr-only"
          onChange={(event) => void event.target.files?.[0]?.text().then(take)}
        />
      </label>
      {error ? (
        <p role="alert" className="text-sm text-bad">
          This file can’t be a trust anchor. {error}
        </p>
      ) : null}
      {pasting ? (
        <form
          className="flex flex-col gap-3"
          onSubmit={(event) => {
            event.preventDefault();
            void take(file);
          }}
        >
          <Field label="Contents of trust.json">
            {(wiring) => (
              <TextArea
                {...wiring}
                rows={6}
                spellCheck={false}
                className="font-mono text-sm!"
                value={file}
                onChange={(event) => setFile(event.target.value)}
              />
            )}
          </Field>
          <Button type="submit" small className="self-start">
            Read it
          </Button>
        </form>
      ) : (
        <Button look="quiet" small className="self-start" onClick={() => setPasting(true)}>
          Paste it instead
        </Button>
      )}
    </div>
  );
}
