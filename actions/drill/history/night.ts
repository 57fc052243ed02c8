import { z } from 'zod';
import { FiredrillError } from '../../core/errors.ts';
import type { DrillReport, ScenarioReport } from '../report/data.ts';

const figure = z.int().min(0).nullable();

/** One drill, as the history keeps it: one line of JSON. schema.json is this as a JSON Schema; a test holds the two together. */
export const nightSchema = z.strictObject({
  version: z.literal(1),
  /** When it began, and which run it was: the same drill is never kept twice. */
  at: z.iso.datetime(),
  run: z.string(),
  environment: z.string(),
  commit: z.string().nullable(),
  ok: z.boolean(),
  scenarios: z.array(
    z.strictObject({
      name: z.string(),
      ok: z.boolean(),
      runs: z.int().min(0),
      /** Recovery (ms); null when nothing was measured. */
      p50: figure,
      p95: figure,
      max: figure,
      requests: z.int().min(0),
      failed: z.int().min(0),
      acked: z.int().min(0),
      lost: z.int().min(0),
    }),
  ),
});

export type Night = z.output<typeof nightSchema>;

/** How long a drill is kept. */
const keptMs = 366 * 24 * 3600 * 1000;

/** The drill as a line of the history. Pure. */
export function nightOf(report: DrillReport, run: string): Night {
  const { startedAt: at, environment, commit, ok } = report;
  return { version: 1, at, run, environment, commit, ok, scenarios: report.scenarios.map(ofScenario) };
}

function ofScenario({ name, ok, runs, recoveryMs }: ScenarioReport): Night['scenarios'][number] {
  const sum = (of: (run: ScenarioReport['runs'][number]) => number): number =>
    runs.reduce((total, run) => total + of(run), 0);
  return {
    name,
    ok,
    runs: runs.length,
    ...recoveryMs,
    requests: sum((run) => run.requests),
    failed: sum((run) => run.failedRequests),
    acked: sum((run) => run.ackedWrites),
    lost: sum((run) => run.lostWrites),
  };
}

/** The nights in the order of time. Throws a FiredrillError (`config`) that names the line that is none. Pure. */
export function parseHistory(text: string): Night[] {
  const lines = text.split('\n');
  const nights = lines.flatMap((line, index) => (line.trim() === '' ? [] : [parseLine(line, index + 1)]));
  return nights.sort((a, b) => a.at.localeCompare(b.at));
}

function parseLine(line: string, number: number): Night {
  try {
    return nightSchema.parse(JSON.parse(line));
  } catch (cause) {
    throw new FiredrillError({
      code: 'config',
      where: `history, line ${number}`,
      what: 'this is no drill as this version keeps them',
      fix: "Mend or remove the line in the history's branch",
      cause,
    });
  }
}

/** The history with that night at its end and without what is older than a year; the other lines stay as they are. Pure. */
export function withNight(text: string, night: Night): string {
  const oldest = new Date(Date.parse(night.at) - keptMs).toISOString();
  const kept = text
    .split('\n')
    .filter((line) => line.trim() !== '' && (/"at":"([^"]+)"/.exec(line)?.[1] ?? '9') >= oldest);
  return `${[...kept, JSON.stringify(night)].join('\n')}\n`;
}

/** Whether the history has that drill. Pure. */
export function hasNight(text: string, { at, run }: Night): boolean {
  return text
    .split('\n')
    .some((line) => line.includes(`"at":"${at}"`) && line.includes(`"run":${JSON.stringify(run)}`));
}
