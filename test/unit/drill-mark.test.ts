import { expect, it } from 'vitest';
import { drillMetrics, markDrill } from '../../actions/drill/mark.ts';

it('leaves the time and the verdict of a drill where the node exporter reads them', async () => {
  const asked: [string, unknown][] = [];
  const exec = async (command: string, { stdin }: { stdin?: unknown }) => {
    asked.push([command, stdin]);
    return { code: 0, stdout: '', stderr: '' };
  };
  await markDrill({ node: 'monitor-1', exec }, 1_700_000_000_500, false);
  expect(asked[0]?.[0]).toContain('/var/lib/prometheus/node-exporter/firedrill.prom');
  expect(asked[0]?.[1]).toBe('firedrill_drill_finished_timestamp_seconds 1700000000.500\nfiredrill_drill_ok 0\n');
  expect(drillMetrics(1000, true)).toMatch(/_ok 1\n$/);
});

it('says when that could not be done', async () => {
  const exec = async () => ({ code: 1, stdout: '', stderr: 'No such file' });
  await expect(markDrill({ node: 'monitor-1', exec }, 0, true)).rejects.toThrow('No such file');
});
