/** The benchmark itself, in its sandbox (app.ts starts it): ROUNDS SECONDS COMMIT FILE. */
import { run, stopAll } from '../../sandbox/inside.ts';
import { tableOf, writeReport } from '../report.ts';
import { buildAll, measureSizes } from './build.ts';
import { deploy } from './deployment.ts';
import { measureRound, noisy, type Round } from './rounds.ts';
import { rowsOf } from './rows.ts';
import { measureStarts } from './starts.ts';

const [rounds, seconds, commit = '', file = ''] = process.argv.slice(2);
const startedAt = new Date().toISOString();
try {
  // For the idle connections that this process holds.
  await run('prlimit', [`--pid=${process.pid}`, '--nofile=16384:16384']);
  console.log('building');
  await buildAll();
  const deployment = await deploy();
  const measured: Round[] = [];
  while (measured.length < Number(rounds)) {
    console.log(`round ${measured.length + 1} of ${rounds}`);
    measured.push(await measureRound(deployment, Number(seconds)));
  }
  const rows = rowsOf({ rounds: measured, starts: await measureStarts(), sizes: await measureSizes() });
  console.log(
    `\nMedians of ${rounds} rounds, ${seconds} s each, 64 connections; a server and its Redis on one processor, wrk alone on another.\n`,
  );
  console.log(tableOf(rows));
  const noise = noisy(measured);
  if (noise.length > 0)
    console.log(`WARNING: the machine was not quiet (processors that others used): ${noise.join(', ')}`);
  writeReport(file, { name: 'app', commit, startedAt, rows });
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  await stopAll();
}
