// The trust anchor: what proofs are checked against.

import { Fingerprint as FingerprintIcon } from "lucide-react";
import { useState } from "react";
import { Button } from "../ui/button";
import { Exact } from "../ui/copy";
import { Confirm, ConfirmCancel } from "../ui/dialog";
import { Card, Fact, Notice, PageHead } from "../ui/parts";
import { toBase64Url } from "../verify/bytes";
import { Fingerprint } from "../verify/fingerprint";
import { PinForm } from "../verify/pin-form";
import { unpin, usePinned } from "../verify/pinned";

export function Trust() {
  const { anchor, error } = usePinned();
  const [removing, setRemoving] = useState(false);
  return (
    <div className="mx-auto max-w-3xl">
      <PageHead
        title="Trust anchor"
        lead="Passports are checked in this browser against keys that you pinned, never against what a server claims today."
      />
      {error ? (
        <div className="mb-5">
          <Notice tone="bad" title="The pinned anchor can no longer be read">
            {error.message} Pin it again.
          </Notice>
        </div>
      ) : null}
      {anchor ? (
        <Card className="p-5 sm:p-6">
          <div className="flex flex-wrap items-start justify-between gap-4">
            <h2 className="flex items-center gap-2.5 text-lg">
              <FingerprintIcon aria-hidden className="size-5 text-ok" /> Pinned in this browser
            </h2>
            <Button small look="danger" onClick={() => setRemoving(true)}>
              Remove
            </Button>
          </div>
          <p className="mb-2 mt-4 text-sm text-soft">SHA-256 of the file, as sha256sum prints it</p>
          <Fingerprint of={anchor.fingerprint} />
          <dl className="mt-6 grid gap-5 sm:grid-cols-2">
            <Fact name="Witnesses">
              {anchor.witnesses.map((one) => (
                <span key={one.name} className="block break-words">
                  {one.name}
                </span>
              ))}
            </Fact>
            <Fact name="Cosignatures needed">
              {anchor.quorum} of {anchor.witnesses.length}
            </Fact>
            {[...anchor.tenants].map(([tenant, keys]) => (
              <Fact key={tenant} name={`Tenant ${tenant}`}>
                <span className="block break-words">{keys.origin}</span>
                <span className="flex flex-wrap items-center gap-x-1 text-sm text-soft">
                  evidence key <Exact value={toBase64Url(keys.evidence.bytes)} />
                </span>
              </Fact>
            ))}
          </dl>
        </Card>
      ) : (
        <Card className="p-5 sm:p-6">
          <h2 className="text-lg">Pin your anchor</h2>
          <p className="mb-5 mt-1 text-soft">
            Get <code>trust.json</code> from whoever operates Mandate for you, on a way you trust. In the
            development house it is the file named <code>trust</code> in the ready line.
          </p>
          <PinForm />
        </Card>
      )}
      <Confirm
        open={removing}
        onOpenChange={setRemoving}
        title="Remove the pinned anchor?"
        actions={
          <>
            <ConfirmCancel asChild>
              <Button>Keep it</Button>
            </ConfirmCancel>
            <Button
              look="danger"
              onClick={() => {
                unpin();
                setRemoving(false);
              }}
            >
              Remove
            </Button>
          </>
        }
      >
        Proofs can’t be checked in this browser until you pin one again.
      </Confirm>
    </div>
  );
}
