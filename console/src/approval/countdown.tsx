// How long something still stands.

import { useEffect, useState } from "react";
import { fullTime, lasting } from "../text/say";
import { join } from "../ui/join";

const SOON = 10 * 60_000;

/** The time left, and when it is over. */
export function useTimeLeft(until: string): number {
  const end = Date.parse(until);
  const [now, setNow] = useState(Date.now);
  const left = Math.max(0, end - now);
  useEffect(() => {
    if (left === 0) return;
    const timer = setTimeout(
      () => setNow(Date.now()),
      left > 2 * 60_000 ? Math.min(15_000, left - 2 * 60_000 + 100) : 1000,
    );
    return () => clearTimeout(timer);
  }, [left]);
  return left;
}

/** A countdown; its colour changes when little time is left. */
export function Countdown({ until }: { until: string }) {
  const left = useTimeLeft(until);
  return (
    <span className={join("tabular-nums", left < SOON && "font-medium text-warn")} title={fullTime(until)}>
      {left > 0 ? `${lasting(Math.ceil(left / 1000) * 1000)} left` : "Time is up"}
    </span>
  );
}
