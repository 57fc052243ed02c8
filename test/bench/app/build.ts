import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { inRoot, run } from '../../sandbox/inside.ts';

const source = '/c-app';
const build = '/tmp/bench-build';

/** What is counted, not timed. */
export interface Sizes {
  /** Of the stripped binary. */
  readonly binaryBytes: number;
  /** Lines of the service without blanks and comments, in its .c files and in its headers. */
  readonly codeLines: number;
  readonly headerLines: number;
}

/** Builds the release and the launcher of starts.ts in the root. */
export async function buildAll(): Promise<void> {
  await run('make', ['-C', source, '-j2', `BUILD=${build}`], 180_000);
  await run('gcc', ['-O2', '-Wall', '-Wextra', '-Werror', '-o', `${build}/listening`, '/bench/listening.c']);
}

export async function measureSizes(): Promise<Sizes> {
  return {
    binaryBytes: statSync(inRoot(`${build}/sessiond`)).size,
    codeLines: await linesOf('.c'),
    headerLines: await linesOf('.h'),
  };
}

/** The preprocessor drops the comments and nothing else. */
async function linesOf(ending: string): Promise<number> {
  const files = readdirSync(inRoot(source)).filter((name) => name.endsWith(ending));
  let count = 0;
  for (const file of files) {
    const bare = `/tmp/bare-${basename(file)}`;
    await run('gcc', ['-fpreprocessed', '-dD', '-E', '-P', '-x', 'c', '-o', bare, `${source}/${file}`]);
    count += readFileSync(inRoot(bare), 'utf8')
      .split('\n')
      .filter((line) => line.trim() !== '').length;
  }
  return count;
}
