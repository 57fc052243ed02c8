import { isAbsolute, join, normalize, relative } from 'node:path';

export interface Diagnostic {
  /** Relative to the workspace. */
  readonly file: string;
  readonly line: number;
  readonly column?: number;
  readonly message: string;
}

/**
 * The errors in what make, the compiler, the linker and the tests printed: `file:line[:column]: error: text` and undefined references.
 * `folder` is where make ran, `source` the folder that it stands for.
 */
export function findDiagnostics(lines: readonly string[], folder: string, source: string): Diagnostic[] {
  const found = new Map<string, Diagnostic>();
  for (const line of lines) {
    const match =
      /(?:^|\s)([^\s:()]+\.[ch]):(\d+):(?:(\d+):)? (?:fatal )?error: (.*)$/.exec(line) ??
      /(?:^|\s)([^\s:()]+\.[ch]):(\d+):()? (undefined reference to .*)$/.exec(line);
    if (match === null) continue;
    const [, file = '', row = '', column, message = ''] = match;
    const inFolder = isAbsolute(file) ? relative(folder, file) : file;
    const diagnostic: Diagnostic = {
      file: normalize(join(source, inFolder)),
      line: Number(row),
      ...(column ? { column: Number(column) } : {}),
      message,
    };
    found.set(`${diagnostic.file}:${row}:${message}`, diagnostic);
  }
  return [...found.values()];
}
