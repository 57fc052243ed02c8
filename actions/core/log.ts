import * as actions from '@actions/core';

export interface Place {
  readonly file?: string;
  readonly line?: number;
  readonly column?: number;
}

/** Where progress goes. On Actions these become groups and annotations; elsewhere plain lines. */
export interface Log {
  info(line: string): void;
  warning(line: string, place?: Place): void;
  error(line: string, place?: Place): void;
  group<T>(title: string, work: () => Promise<T>): Promise<T>;
}

/** The log of a run on Actions (also in the lab: its runner reads the same workflow commands). */
export const actionsLog: Log = {
  info: (line) => actions.info(line),
  warning: (line, place) => actions.warning(line, annotation(place)),
  error: (line, place) => actions.error(line, annotation(place)),
  group: (title, work) => actions.group(title, work),
};

/** Adds to the job's summary; outside of a job there is none, and nothing happens. */
export async function writeJobSummary(markdown: string): Promise<void> {
  if (process.env.GITHUB_STEP_SUMMARY) await actions.summary.addRaw(markdown).write();
}

/** A log that hands each line to `write`, for tests and the lab's own commands. */
export function plainLog(write: (line: string) => void): Log {
  return {
    info: write,
    warning: (line, place) => write(`warning: ${at(place)}${line}`),
    error: (line, place) => write(`error: ${at(place)}${line}`),
    group: (title, work) => {
      write(title);
      return work();
    },
  };
}

/** What is told of a node or a scenario as it happens. */
export interface Progress {
  readonly node: string;
  readonly phase: string;
  readonly ms: number | undefined;
  readonly detail: string;
}

/** One progress line: `redis-2  install  1.8 s  redis-server 5:8.0.2-3`. */
export function progressLine(node: string, phase: string, ms: number | undefined, detail = ''): string {
  const time = ms === undefined ? '' : `${(ms / 1000).toFixed(1)} s`;
  return `${node.padEnd(12)} ${phase.padEnd(14)} ${time.padStart(7)}  ${detail}`.trimEnd();
}

/**
 * What a progress line says; undefined for any other line: only what progressLine would write in the same columns is one. A line
 * without a time and a detail could be two words of anything, and is none.
 */
export function parseProgress(line: string): Progress | undefined {
  const found = /^(\S+) +(\S+(?: \S+)*?) +(?:(\d+\.\d) s)?(?: {2}(\S.*))?$/.exec(line);
  if (found === null) return undefined;
  const [, node = '', phase = '', seconds, detail = ''] = found;
  const ms = seconds === undefined ? undefined : Math.round(Number(seconds) * 1000);
  if (ms === undefined && detail === '') return undefined;
  return progressLine(node, phase, ms, detail) === line ? { node, phase, ms, detail } : undefined;
}

function annotation(place: Place | undefined): actions.AnnotationProperties {
  return {
    ...(place?.file === undefined ? {} : { file: place.file }),
    ...(place?.line === undefined ? {} : { startLine: place.line }),
    ...(place?.column === undefined ? {} : { startColumn: place.column }),
  };
}

function at(place: Place | undefined): string {
  if (place?.file === undefined) return '';
  return `${[place.file, place.line, place.column].filter((part) => part !== undefined).join(':')}: `;
}
