import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, useEffect, useRef } from "react";
import { useFormats } from "./format";

export interface Line {
  key: string;
  at: string;
  level: string;
  text: string;
  /** What else is known of the line, for whoever points at it. */
  more?: string;
}

interface LinesProps {
  lines: Line[];
  label: string;
  /** Whether the newest line, the last one, is kept in view. */
  follows: boolean;
}

const LINE_PX = 22;
/** Lines of a log, oldest first; only those in view are in the page, so thousands scroll freely. */
export function Lines({ lines, label, follows }: LinesProps) {
  const frame = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({
    count: lines.length,
    getScrollElement: () => frame.current,
    estimateSize: () => LINE_PX,
    overscan: 10,
    getItemKey: (place) => lines[place]?.key ?? place,
  });
  const newest = lines.at(-1)?.key;
  useEffect(() => {
    if (follows && newest !== undefined) rows.scrollToIndex(lines.length - 1, { align: "end" });
  }, [follows, newest, lines.length, rows]);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard
    <div ref={frame} className="lines-frame" role="log" aria-live="off" aria-label={label} tabIndex={0}>
      <ul style={{ height: rows.getTotalSize() }}>
        {rows.getVirtualItems().map((row) => {
          const line = lines[row.index];
          if (!line) return null;
          return (
            <li
              key={row.key}
              ref={rows.measureElement}
              data-index={row.index}
              className={`line ${line.level.toLowerCase()}`}
              style={{ transform: `translateY(${row.start}px)` }}
              title={line.more}
            >
              <LineText line={line} />
            </li>
          );
        })}
      </ul>
    </div>
  );
}

const LineText = memo(function LineText({ line }: { line: Line }) {
  const format = useFormats();
  return (
    <>
      <time dateTime={line.at}>{line.at && format.exact(line.at)}</time>
      <span className="level">{line.level}</span>
      <span className="text">{line.text}</span>
    </>
  );
});
