// Says that a session is about to end while there is time to save what one writes.

import { useEffect, useState } from "react";
import { queryClient, sessionQuery } from "../api/queries";
import type { Session } from "../api/types";
import { lasting } from "../text/say";
import { Button } from "../ui/button";
import { Notice } from "../ui/parts";
import { signInAt } from "./session";

const WARNING = 3 * 60_000;

/** Nothing, until the session is about to end. */
export function Expiry({ session }: { session: Session }) {
  const ends = Date.parse(session.expires_at);
  const [now, setNow] = useState(Date.now);
  // biome-ignore lint/correctness/useExhaustiveDependencies: each tick sets the next.
  useEffect(() => {
    const left = ends - Date.now();
    if (!(left > 0)) {
      // The server decides; this only asks it.
      void queryClient.invalidateQueries({ queryKey: sessionQuery.queryKey });
      return;
    }
    // Long timers overflow; an hour at a time is enough.
    const wait = left > WARNING ? Math.min(left - WARNING, 3_600_000) : Math.min(left, 10_000);
    const timer = setTimeout(() => setNow(Date.now()), wait);
    return () => clearTimeout(timer);
  }, [ends, now]);
  const left = ends - now;
  if (!(left <= WARNING)) return null;
  const here = window.location.pathname + window.location.search;
  return (
    <div className="mb-6">
      <Notice
        tone="warn"
        role="status"
        title={left > 0 ? `Your session ends in ${lasting(left)}` : "Your session has ended"}
        action={
          <Button small asChild>
            <a href={signInAt(session.tenant, here)}>Sign in again</a>
          </Button>
        }
      >
        Sign in again to go on. What you wrote on this page and have not sent will be lost.
      </Notice>
    </div>
  );
}
