import { FiredrillError } from '../../actions/core/errors.ts';
import { runInSandbox } from '../sandbox/run.ts';
import type { Plan } from './main.ts';
import type { Round } from './measure.ts';

/**
 * Runs the plan's rounds in a sandbox over `root` (with the packages of c-app/*-deps.txt), with the sources in `sources`. Throws when
 * the harness itself breaks, or a round takes longer than a minute.
 */
export async function runRounds(
  root: string,
  sources: string,
  plan: Plan,
  onRound: (round: Round, number: number) => void,
): Promise<Round[]> {
  const rounds: Round[] = [];
  const noise: string[] = [];
  const code = await runInSandbox({
    root,
    script: new URL('./main.ts', import.meta.url),
    args: [JSON.stringify(plan)],
    binds: [{ source: sources, target: '/c-app' }],
    timeoutMs: 300_000 + plan.rounds * plan.faults.length * 60_000,
    onLine: (line) => {
      if (!line.startsWith('{"round":')) return void noise.push(line);
      const { round } = JSON.parse(line) as { round: Round };
      rounds.push(round);
      onRound(round, rounds.length);
    },
  });
  if (code === 0) return rounds;
  throw new FiredrillError({
    code: 'bug',
    phase: 'failover',
    what: `the harness ended with ${code}:\n${noise.slice(-40).join('\n')}`,
  });
}
