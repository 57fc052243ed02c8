import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** Plain data that outlives its process: read once, written whole after each change. */
export interface StateFile<T> {
  readonly data: T;
  /** Writes the data as it is now. A kill in between leaves the old file whole. */
  save(): void;
  /** From now on nothing is written: what still runs in the background belongs to a server that is gone. */
  close(): void;
  readonly closed: boolean;
}

/** Reads `file`, or starts with `initial`. The file is for its owner only, since it may hold secrets of the lab. */
export function openStateFile<T>(file: string, initial: T): StateFile<T> {
  mkdirSync(dirname(file), { recursive: true });
  const data = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as T) : initial;
  let closed = false;
  return {
    data,
    close: () => {
      closed = true;
    },
    get closed() {
      return closed;
    },
    save: () => {
      if (closed) return;
      const next = `${file}.next`;
      writeFileSync(next, JSON.stringify(data, null, 1), { mode: 0o600 });
      renameSync(next, file);
    },
  };
}
