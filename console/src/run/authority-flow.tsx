// Authority, drawn: as wide as it is. From the person to the run to each single request; what comes from an
// owner's grant comes in from the side, because nothing of the person's authority is in it.

import type { AuthorityView, Hop } from "./authority";

const WIDTH = 800;
const PERSON_X = 128;
const RUN_X = 292;
const HOP_X = 556;
const BAR = 14;
const ROW = 62;

function ribbon(x1: number, y1: number, h1: number, x2: number, y2: number, h2: number): string {
  const middle = (x1 + x2) / 2;
  return (
    `M${x1} ${y1} C${middle} ${y1} ${middle} ${y2} ${x2} ${y2} ` +
    `L${x2} ${y2 + h2} C${middle} ${y2 + h2} ${middle} ${y1 + h1} ${x1} ${y1 + h1} Z`
  );
}

/** How thick a hop is drawn: what it carries of the run's scopes, audiences and functions, and never nothing. */
export function thickness(hop: Hop, view: AuthorityView): number {
  const run = view.run;
  if (run === null || !hop.admitted) return 2;
  const held = run.scopes.length + run.audiences.length + Object.keys(run.functions).length;
  const kept = hop.scopes.kept.length + hop.audiences.kept.length + hop.functions.kept.length;
  return held === 0 ? 4 : Math.max(4, Math.round((26 * kept) / held));
}

/** The picture. Everything it shows is also said in the list below it. */
export function AuthorityFlow({ view }: { view: AuthorityView }) {
  const hops = view.hops;
  const height =
    Math.max(3, hops.length) * ROW + (hops.some((hop) => hop.root === "grant" && hop.admitted) ? 44 : 20);
  const own = hops.filter((hop) => hop.root === "initiator" && !hop.waits);
  const granted = hops.filter((hop) => hop.root === "grant" && hop.admitted);
  const personHeight = Math.max(3, hops.length) * ROW - 40;
  // A run that holds nothing is drawn as next to nothing.
  const holds = view.run !== null && view.run.scopes.length + Object.keys(view.run.functions).length > 0;
  const runHeight = holds ? Math.max(40, personHeight * 0.52) : 5;
  const personY = 36;
  const runY = personY + (personHeight - runHeight) / 2;
  const slot = own.length > 0 ? runHeight / own.length : runHeight;
  const rowY = (hop: Hop) => 30 + hops.indexOf(hop) * ROW + 8;
  return (
    <svg viewBox={`0 0 ${WIDTH} ${height}`} className="block w-full" aria-hidden="true">
      <path
        d={ribbon(PERSON_X + BAR, personY, personHeight, RUN_X, runY, runHeight)}
        className="fill-accent"
        opacity="0.16"
      />
      {own.map((hop, n) => {
        const thick = thickness(hop, view);
        return (
          <path
            key={hop.step}
            d={ribbon(
              RUN_X + BAR,
              runY + n * slot + Math.min(2, slot / 4),
              Math.max(1, slot - 4),
              HOP_X,
              rowY(hop) - thick / 2,
              thick,
            )}
            className={hop.admitted ? "fill-accent" : "fill-bad"}
            opacity={hop.admitted ? 0.26 : 0.2}
          />
        );
      })}
      {granted.map((hop, n) => {
        const x = RUN_X + BAR + 16;
        const y = height - 17 + n * 3;
        return (
          <path
            key={hop.step}
            d={`M${x} ${y} C${x + 150} ${y} ${HOP_X - 110} ${rowY(hop)} ${HOP_X} ${rowY(hop)}`}
            className="stroke-warn"
            strokeWidth="4"
            strokeDasharray="1 7"
            strokeLinecap="round"
            fill="none"
          />
        );
      })}
      <rect x={PERSON_X} y={personY} width={BAR} height={personHeight} rx="4" className="fill-accent" />
      <rect x={RUN_X} y={runY} width={BAR} height={runHeight} rx="4" className="fill-accent" />
      <text
        x={PERSON_X - 14}
        y={personY + personHeight / 2 - 4}
        textAnchor="end"
        className="fill-ink text-[13px] font-medium"
      >
        {view.initiator.replace(/^user:/, "")}
      </text>
      <text
        x={PERSON_X - 14}
        y={personY + personHeight / 2 + 14}
        textAnchor="end"
        className="fill-faint text-[12px]"
      >
        may do this much
      </text>
      <text
        x={RUN_X + BAR / 2}
        y={runY - 12}
        textAnchor="middle"
        className="fill-ink text-[13px] font-medium"
      >
        this run
      </text>
      {granted.length > 0 ? (
        <>
          <rect x={RUN_X} y={height - 24} width={BAR} height={BAR} rx="4" className="fill-warn" />
          <text x={RUN_X - 12} y={height - 12} textAnchor="end" className="fill-ink text-[13px] font-medium">
            an owner’s grant
          </text>
        </>
      ) : null}
      {hops.map((hop) => {
        const y = rowY(hop);
        const thick = hop.root === "grant" ? 4 : thickness(hop, view);
        const tone =
          hop.waits || (hop.admitted && hop.root === "grant")
            ? "fill-warn"
            : hop.admitted
              ? "fill-accent"
              : "fill-bad";
        return (
          <g key={hop.step}>
            <rect x={HOP_X} y={y - thick / 2} width={BAR} height={thick} rx="2" className={tone} />
            <text x={HOP_X + 28} y={y - 2} className="fill-ink text-[13px] font-medium">
              {hop.step} {hop.function}
            </text>
            <text x={HOP_X + 28} y={y + 15} className="fill-faint text-[12px]">
              {hopLine(hop)}
            </text>
          </g>
        );
      })}
    </svg>
  );
}

function hopLine(hop: Hop): string {
  if (hop.waits) return "waits for somebody’s word";
  if (!hop.admitted) return "not let through";
  if (hop.root === "grant") return "a leased key, for one request";
  const seconds = hop.lifetime === null ? "" : `${Math.round(hop.lifetime / 1000)} s, `;
  const scopes = hop.scopes.kept.length + hop.scopes.dropped.length;
  return `${seconds}${hop.scopes.kept.length} of ${scopes} scopes, one receiver`;
}
