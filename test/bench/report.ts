import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** One figure of a benchmark, as `out/bench-NAME.json` has it. */
export interface Row {
  readonly metric: string;
  readonly unit: string;
  readonly ours: number;
  /** What ours is compared with, measured in the same run; `budget` for a fixed limit; null when there is nothing to compare. */
  readonly peer: string | null;
  readonly peerValue: number | null;
  /** Ours to the peer's; null also where the peer's is 0 and nothing is asked of it. */
  readonly ratio: number | null;
  /** The bound on the ratio, or on ours where there is no peer; or null. */
  readonly goal: number | null;
  readonly met: boolean | null;
}

/** A row with what only its reader needs. */
export interface ShownRow extends Row {
  readonly bound: 'at most' | 'at least';
  readonly note: string;
}

export interface Report {
  readonly name: string;
  readonly commit: string;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly rows: readonly ShownRow[];
}

export interface Comparison {
  readonly metric: string;
  readonly unit: string;
  readonly ours: number;
  readonly peer?: string;
  readonly peerValue?: number;
  readonly atMost?: number;
  readonly atLeast?: number;
  /** The goal is also met when this holds, whatever the ratio is; the note says what it was. */
  readonly orElse?: boolean;
  readonly note?: string;
}

/** The row of a comparison: its ratio, and whether that (without a peer the figure itself) is within the bound. */
export function rowOf(comparison: Comparison): ShownRow {
  const { metric, unit, ours, peer = null, peerValue = null, atMost, atLeast, note = '' } = comparison;
  const goal = atMost ?? atLeast ?? null;
  const ratio = peerValue === null || (peerValue === 0 && goal === null) ? null : ours / peerValue;
  const held = ratio ?? ours;
  const within = atMost === undefined ? held >= (atLeast ?? 0) : held <= atMost;
  const met = goal === null ? null : within || comparison.orElse === true;
  return {
    metric,
    unit,
    ours,
    peer,
    peerValue,
    ratio,
    goal,
    met,
    bound: atLeast === undefined ? 'at most' : 'at least',
    note,
  };
}

/** The rows as a table for a terminal, one line each, and a last line that counts the goals. */
export function tableOf(rows: readonly ShownRow[]): string {
  const head = ['metric', 'unit', 'ours', 'peer', "peer's", 'ratio', 'goal', ''];
  const cells = [head, ...rows.map(cellsOf)];
  const widths = head.map((_, column) => Math.max(...cells.map((line) => line[column]?.length ?? 0)));
  const rightAligned = new Set([2, 4, 5]);
  const lines = cells.map((line) =>
    line
      .map((cell, column) =>
        rightAligned.has(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  );
  const goals = rows.filter((row) => row.met !== null);
  return [...lines, `${goals.filter((row) => row.met).length} of ${goals.length} goals met`].join('\n');
}

function cellsOf(row: ShownRow): string[] {
  const sign = row.bound === 'at most' ? '<=' : '>=';
  const verdict = row.met === null ? '' : row.met ? 'met' : 'NOT MET';
  return [
    row.metric,
    row.unit,
    shown(row.ours),
    row.peer ?? '',
    row.peerValue === null ? '' : shown(row.peerValue),
    row.ratio === null ? '' : row.ratio.toFixed(row.ratio < 0.1 ? 3 : 2),
    row.goal === null ? '' : `${sign} ${Number(row.goal.toFixed(3))}`,
    [verdict, row.note].filter((part) => part !== '').join('; '),
  ];
}

function shown(value: number): string {
  return value.toFixed(value >= 1000 || Number.isInteger(value) ? 0 : value >= 100 ? 1 : 2);
}

/** Writes the report as `out/bench-NAME.json`. */
export function writeReport(file: string, report: Report): void {
  const rows = report.rows.map(({ bound: _bound, note: _note, ...row }): Row => row);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify({ ...report, rows }, null, 2)}\n`);
}
