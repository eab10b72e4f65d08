// Data and its lineage: what influenced what, drawn; the labels of what is chosen, told.

import { FileSignature, LogIn, Wrench } from "lucide-react";
import { type RefObject, useLayoutEffect, useRef, useState } from "react";
import { count, size } from "../text/say";
import { Exact } from "../ui/copy";
import { join } from "../ui/join";
import { Card, Fact } from "../ui/parts";
import { Visible } from "../ui/visible";
import { LabelView } from "./label-view";
import { readersText, rose, secrecy } from "./labels";
import { influencedBy, type Lineage, type LineageNode } from "./lineage";

const HEIGHT = 78;
const GAP = 34;
const GAP_Y = 22;
const NARROWEST = 132;
const WIDEST = 220;

const icons = { input: LogIn, step: Wrench, artifact: FileSignature };
const edges = ["border-line-strong/60", "border-accent/60", "border-warn/70", "border-bad/70"];

/** Where boxes stand: in columns that go on in a next line when the room ends, as text does. */
interface Frame {
  columns: number;
  width: number;
  /** Where each line begins. */
  tops: number[];
  height: number;
}

function frameFor(lineage: Lineage, room: number): Frame {
  const fitting = Math.max(1, Math.floor((room + GAP) / (NARROWEST + GAP)));
  const columns = Math.min(lineage.layers, room < 540 ? 1 : fitting);
  const width = Math.min(columns === 1 ? 300 : WIDEST, Math.floor((room - (columns - 1) * GAP) / columns));
  const tops: number[] = [];
  let height = 0;
  for (let first = 0; first < lineage.layers; first += columns) {
    const within = lineage.nodes.filter((one) => one.layer >= first && one.layer < first + columns);
    tops.push(height);
    height += Math.max(1, ...within.map((one) => one.row + 1)) * (HEIGHT + GAP_Y) - GAP_Y + GAP;
  }
  return { columns, width, tops, height: height - GAP };
}

function place(node: LineageNode, frame: Frame): { x: number; y: number; line: number } {
  const line = Math.floor(node.layer / frame.columns);
  const column = node.layer % frame.columns;
  return { x: column * (frame.width + GAP), y: (frame.tops[line] ?? 0) + node.row * (HEIGHT + GAP_Y), line };
}

/** The room there is, as it changes. */
function useRoom(): [RefObject<HTMLDivElement | null>, number] {
  const place = useRef<HTMLDivElement>(null);
  const [room, setRoom] = useState(800);
  useLayoutEffect(() => {
    if (place.current === null) return;
    const watch = new ResizeObserver(([seen]) => setRoom(seen?.contentRect.width ?? 800));
    watch.observe(place.current);
    return () => watch.disconnect();
  }, []);
  return [place, room];
}

export function LineageView({ lineage }: { lineage: Lineage }) {
  const [chosen, setChosen] = useState<string | null>(null);
  const [ground, room] = useRoom();
  const node = lineage.nodes.find((one) => one.id === chosen) ?? lineage.nodes.at(-1);
  if (node === undefined) return null;
  const frame = frameFor(lineage, room);
  const width = frame.columns * (frame.width + GAP) - GAP;
  const { height } = frame;
  const near = new Set([node.id, ...node.influences, ...influencedBy(lineage, node.id)]);
  return (
    <Card className="overflow-hidden">
      <section
        aria-label="Which source influenced what"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard.
        tabIndex={0}
        className="overflow-x-auto border-b border-line p-5 sm:p-6"
      >
        <div ref={ground}>
          <div className="relative" style={{ width, height }}>
            <svg width={width} height={height} className="absolute inset-0" aria-hidden="true">
              {lineage.edges.map(({ from, to }) => (
                <Edge
                  key={`${from} ${to}`}
                  from={lineage.nodes.find((one) => one.id === from)}
                  to={lineage.nodes.find((one) => one.id === to)}
                  frame={frame}
                  lit={near.has(from) && near.has(to)}
                />
              ))}
            </svg>
            {lineage.nodes.map((one) => (
              <Box
                key={one.id}
                node={one}
                frame={frame}
                isChosen={one.id === node.id}
                lit={near.has(one.id)}
                onChoose={() => setChosen(one.id)}
              />
            ))}
          </div>
        </div>
      </section>
      <About node={node} lineage={lineage} />
    </Card>
  );
}

function Edge({
  from,
  to,
  frame,
  lit,
}: {
  from: LineageNode | undefined;
  to: LineageNode | undefined;
  frame: Frame;
  lit: boolean;
}) {
  if (!from || !to) return null;
  const a = place(from, frame);
  const b = place(to, frame);
  const half = frame.width / 2;
  // To a later line the way leads down between the lines and across; within one it leads to the right.
  const isDown = b.line > a.line;
  const [x1, y1] = isDown ? [a.x + half, a.y + HEIGHT] : [a.x + frame.width, a.y + HEIGHT / 2];
  const [x2, y2] = isDown ? [b.x + half, b.y] : [b.x, b.y + HEIGHT / 2];
  const turn = (frame.tops[b.line] ?? 0) - GAP / 2;
  const path = isDown
    ? `M${x1} ${y1} V${turn} H${x2} V${y2 - 6}`
    : `M${x1} ${y1} C${(x1 + x2) / 2} ${y1} ${(x1 + x2) / 2} ${y2} ${x2 - 6} ${y2}`;
  const head = isDown ? `M${x2 - 4.5} ${y2 - 8} l4.5 7 l4.5 -7 z` : `M${x2 - 8} ${y2 - 4.5} l7 4.5 l-7 4.5 z`;
  return (
    <>
      <path
        d={path}
        className={lit ? "stroke-accent" : "stroke-line-strong"}
        strokeWidth={lit ? 2 : 1.25}
        fill="none"
      />
      <path d={head} className={lit ? "fill-accent" : "fill-line-strong"} />
    </>
  );
}

function Box({
  node,
  frame,
  isChosen,
  lit,
  onChoose,
}: {
  node: LineageNode;
  frame: Frame;
  isChosen: boolean;
  lit: boolean;
  onChoose: () => void;
}) {
  const Icon = icons[node.kind];
  const { x, y } = place(node, frame);
  return (
    <button
      type="button"
      aria-pressed={isChosen}
      onClick={onChoose}
      style={{ left: x, top: y, width: frame.width, height: HEIGHT }}
      className={join(
        "absolute flex flex-col justify-center gap-1 overflow-hidden rounded-xl border-2 bg-surface px-3 text-left transition-colors hover:bg-sunken",
        node.labels ? edges[secrecy(node.labels)] : "border-line",
        isChosen && "outline-2 outline-offset-2 outline-accent",
        !lit && "border-dashed",
      )}
    >
      <span className="flex items-start gap-1.5 text-sm font-medium leading-snug">
        <Icon aria-hidden className="mt-0.5 size-3.5 shrink-0 text-faint" />
        <span className="line-clamp-2 break-words">
          {node.step !== null ? <span className="font-normal text-faint">{node.step} </span> : null}
          <Visible text={node.title} />
        </span>
      </span>
      <span className="truncate text-xs text-soft">
        {node.labels ? node.labels.confidentiality : "nothing came back"}
      </span>
    </button>
  );
}

function About({ node, lineage }: { node: LineageNode; lineage: Lineage }) {
  const titles = (ids: string[]) =>
    lineage.nodes
      .filter((one) => ids.includes(one.id))
      .map((one) => one.title)
      .join(", ");
  const after = influencedBy(lineage, node.id);
  const changes = node.given && node.labels ? rose(node.given, node.labels) : [];
  return (
    <div className="p-5 sm:p-6" aria-live="polite">
      <div className="mb-4 flex flex-wrap items-center gap-x-3 gap-y-1.5">
        <h3 className="text-lg">
          <Visible text={node.title} />
        </h3>
        {node.labels ? <LabelView labels={node.labels} /> : null}
      </div>
      <dl className="grid gap-x-8 gap-y-4 sm:grid-cols-2">
        <Fact name="Influenced by">
          {node.influences.length > 0 ? titles(node.influences) : "nothing else in this run"}
        </Fact>
        <Fact name="Influenced">{after.length > 0 ? titles(after) : "nothing else in this run"}</Fact>
        {node.labels ? (
          <>
            <Fact name="Who may read it">
              <Visible text={readersText(node.labels.readers)} />
            </Fact>
            <Fact name="Kinds of data">{(node.labels.categories ?? []).join(", ") || "none named"}</Fact>
          </>
        ) : null}
        {changes.length > 0 ? <Fact name="Labels rose in this step">{changes.join("; ")}</Fact> : null}
        {node.size !== null ? <Fact name="Size">{size(node.size)}</Fact> : null}
        {node.id.startsWith("sha256:") ? (
          <Fact name="Digest of what was received">
            <Exact value={node.id} />
          </Fact>
        ) : null}
        {node.labels?.sources ? (
          <Fact name="Sources in its label">{count(node.labels.sources.length, "source")}</Fact>
        ) : null}
      </dl>
    </div>
  );
}
