// The stream of a run. Where it is missing, the pages poll instead.

import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { pathTo } from "./client";

export type Liveness = "connecting" | "live" | "polling" | "over";

/** At most one reading in this many milliseconds, however many events come. */
const PACE = 200;

/** Keeps everything that is read of a run fresh while it goes on. */
export function useRunStream(run: string, over: boolean): Liveness {
  const queries = useQueryClient();
  const [liveness, setLiveness] = useState<Liveness>("connecting");
  useEffect(() => {
    if (over) {
      setLiveness("over");
      return;
    }
    let timer: ReturnType<typeof setTimeout> | undefined;
    const read = () => {
      timer ??= setTimeout(() => {
        timer = undefined;
        void queries.invalidateQueries({ queryKey: ["run", run] });
        void queries.invalidateQueries({ queryKey: ["approvals"] });
      }, PACE);
    };
    const source = new EventSource(pathTo`/v1/runs/${run}/events`);
    source.addEventListener("open", () => setLiveness("live"));
    source.addEventListener("journal", read);
    source.addEventListener("end", () => {
      source.close();
      read();
    });
    source.addEventListener("error", () => {
      // A lost connection is taken up again by the browser, from the last event it saw; a refusal is final.
      setLiveness(source.readyState === EventSource.CLOSED ? "polling" : "connecting");
    });
    return () => {
      source.close();
      clearTimeout(timer);
    };
  }, [run, over, queries]);
  return liveness;
}
