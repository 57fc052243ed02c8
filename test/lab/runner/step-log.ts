import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Masks } from './masks.ts';
import type { RunnerLog } from './types.ts';

/** The log of one job: a file per step, and one line per step for the reader. Everything passes the masks here, and only here. */
export interface JobLog {
  /** Starts a new file; gives the function that writes its lines. */
  open(title: string): (line: string) => void;
  /** A line for the reader. */
  summary(line: string): void;
}

export function createJobLog(directory: string, masks: Masks, log: RunnerLog): JobLog {
  mkdirSync(directory, { recursive: true });
  let count = 0;
  return {
    open: (title) => {
      count += 1;
      const name = masks.apply(title);
      const slug = name
        .toLowerCase()
        .replace(/[^a-z0-9]+/g, '-')
        .replace(/^-|-$/g, '')
        .slice(0, 60);
      const file = join(directory, `${String(count).padStart(2, '0')}-${slug || 'step'}.log`);
      writeFileSync(file, '');
      return (line) => {
        // A line may hold line feeds (a command's message): mask first, so that no secret is cut in two.
        const masked = masks.apply(line);
        appendFileSync(file, `${new Date().toISOString()} ${masked}\n`);
        log.output?.(masked, name);
      };
    },
    summary: (line) => log.step(masks.apply(line)),
  };
}

/** `  ok    12.3 s  Name` */
export function stepLine(conclusion: string, ms: number, name: string, depth = 0): string {
  return `${'  '.repeat(depth + 1)}${conclusion.padEnd(9)} ${(ms / 1000).toFixed(1).padStart(6)} s  ${name}`;
}
