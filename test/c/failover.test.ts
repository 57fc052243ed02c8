import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { FaultName } from '../failover/faults.ts';
import type { Round } from '../failover/measure.ts';
import { outlasted, roundLine } from '../failover/report.ts';
import { runRounds } from '../failover/rounds.ts';
import { ensureBuildRoot } from '../lab/machines/build-root.ts';
import type { Lab } from '../lab/machines/lab.ts';
import { preflight } from '../lab/machines/preflight.ts';
import { cacheDir, clone } from '../lab/paths.ts';
import { packagesOf } from '../lab/prepare.ts';

/**
 * The service before real Redis and Sentinels that fail, behind HAProxy, under load: one round of each fault. The figures are
 * those of `npm run bench:failover`; here only the promises are held.
 */

const lab: Lab = { name: 'firedrill-failover', stateDir: '/var/tmp/firedrill-failover', cacheDir };
const missing = await preflight(lab);
let root = '';

beforeAll(async () => {
  if (missing.length === 0) root = await ensureBuildRoot(cacheDir, packagesOf(clone), console.log);
});
beforeEach(({ skip }) => {
  if (missing.length > 0) skip(`needs ${missing.map((each) => `${each.what} (${each.fix})`).join('; ')}`);
});

async function rounds(
  faults: readonly FaultName[],
  durability: 'async' | 'replicated',
  sanitized: boolean,
): Promise<Round[]> {
  const plan = { faults, rounds: 1, requestsPerS: 500, durability, sanitized };
  return await runRounds(root, `${clone}/c-app`, plan, (round, number) => console.log(roundLine(number, round)));
}

describe('the C service, when what it depends on fails under load,', () => {
  test('holds its clients, loses no acknowledged write, applies none twice and overwrites none with an older one', async () => {
    const faults = [
      'kill',
      'hang',
      'planned',
      'vanish',
      'partition',
      'restart',
      'replica-hang',
      'replica-blink-kill',
      'alone',
      'sessiond-kill',
    ] as const;
    const all = await rounds(faults, 'replicated', true);
    expect(all.map((round) => round.fault)).toEqual(faults);
    for (const round of all) {
      const said = `${roundLine(0, round)}\n${round.proofs.join('\n')}`;
      expect([round.lost, round.twice, round.overwritten, round.inexplicable], said).toEqual([0, 0, 0, 0]);
      // Sentinel needs a second or two to know that a primary is cut off; until then the service reads what it has.
      if (round.fault !== 'partition') expect(round.stale, said).toBe(0);
      // HAProxy may be connecting to the dead app at the moment it declares it down, and drops that one request.
      const failed = round.fault === 'sessiond-kill' ? 1 : 0;
      // Of two replicas one is as good as none to wait for, long before the Sentinels take it for down (1 s and more).
      if (round.fault === 'replica-hang') expect(round.stalled, said).toBeLessThan(500 + round.lagMs);
      if (!outlasted(round)) expect(round.failed, said).toBeLessThanOrEqual(failed);
      expect(round.acknowledged, said).toBeGreaterThan(500);
    }
  });

  test('is watched by a check that sees the losses of `durability = async`', async () => {
    const [round] = await rounds(['partition'], 'async', false);
    expect(round?.lost).toBeGreaterThan(0);
    expect(round?.proofs.join('\n')).toMatch(/was acknowledged, and in the end there was/);
  });
});
