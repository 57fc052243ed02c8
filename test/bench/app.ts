/**
 * `npm run bench:app`: the C service beside Debian's webdis and nginx, in one run. Here: the root, the sandbox, the command line;
 * app/inside.ts measures.
 */
import { readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FiredrillError } from '../../actions/core/errors.ts';
import { ensureBuildRoot } from '../lab/machines/build-root.ts';
import { ensureReady } from '../lab/machines/preflight.ts';
import { cacheDir, clone, lab, outDir } from '../lab/paths.ts';
import { packagesOf } from '../lab/prepare.ts';
import { sourceCommit } from '../lab/source.ts';
import { runInSandbox } from '../sandbox/run.ts';
import { runCommand } from './command.ts';
import { countOf } from './options.ts';

const usage = `npm run bench:app                the C service beside webdis and nginx: medians of 5 rounds, out/bench-app.json

--rounds N                       rounds (default 5; the goals hold for at least 5)
--seconds S                      of load for each figure in a round (default 3)
--from FOLDER                    measures the service of the git clone FOLDER instead of this one`;

interface Options {
  readonly rounds: number;
  readonly seconds: number;
  readonly from: string;
}

await runCommand(
  usage,
  {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    from: { type: 'string', default: clone },
  },
  ({ rounds, seconds, from }) =>
    bench({
      rounds: countOf('--rounds', rounds, 50),
      seconds: countOf('--seconds', seconds, 60),
      from: resolve(from),
    }),
);

async function bench(options: Options): Promise<number> {
  const begun = performance.now();
  if (availableParallelism() < 2)
    throw new FiredrillError({ code: 'config', what: 'one processor: the service and its load need one each' });
  await ensureReady(lab, console.log);
  const file = `${outDir}/bench-app.json`;
  // No figures of an earlier run are left when this one does not finish.
  rmSync(file, { force: true });
  const root = await ensureBuildRoot(cacheDir, [...packagesOf(options.from), ...benchPackages()], console.log);
  const cancelled = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => cancelled.abort());
  const code = await runInSandbox({
    root,
    script: new URL('./app/inside.ts', import.meta.url),
    args: [String(options.rounds), String(options.seconds), sourceCommit(options.from).sha, file],
    binds: [
      { source: `${options.from}/c-app`, target: '/c-app' },
      { source: fileURLToPath(new URL('./app', import.meta.url)), target: '/bench' },
    ],
    // Building, the rounds' loads with what lies between them, the starts.
    timeoutMs: 120_000 + options.rounds * (options.seconds * 10_000 + 20_000),
    onLine: console.log,
    signal: cancelled.signal,
  });
  if (cancelled.signal.aborted) throw new FiredrillError({ code: 'cancelled', what: 'the benchmark was cancelled' });
  console.log(`npm run bench:app took ${((performance.now() - begun) / 1000).toFixed(0)} s`);
  return code;
}

function benchPackages(): string[] {
  return readFileSync(`${clone}/c-app/bench-deps.txt`, 'utf8')
    .split('\n')
    .filter((line) => line !== '');
}
