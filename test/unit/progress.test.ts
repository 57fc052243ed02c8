import { describe, expect, it } from 'vitest';
import { parseProgress, progressLine } from '../../actions/core/log.ts';
import { stageAll } from '../../actions/rollout/stage.ts';
import { progressOnly } from '../lab/progress.ts';
import { blank, deployed, releaseOf } from './rollout-fixture.ts';
import { world } from './rollout-world.ts';
import { oneJob, repoWith } from './runner-repo.ts';

describe('a progress line', () => {
  it.each([
    { node: 'redis-1', phase: 'install', ms: 10_000, detail: 'redis-server=5:8.0.2-3 redis-tools=5:8.0.2-3' },
    { node: 'redis-1', phase: 'users', ms: 0, detail: '' },
    { node: 'network', phase: 'create-firewall', ms: 1234.5, detail: '' },
    { node: 'redis-primary-kill', phase: 'steady again', ms: 1_234_500, detail: '' },
    { node: 'redis-primary-kill', phase: 'broken', ms: undefined, detail: 'kill -9 of Redis  and then nothing' },
    { node: 'lb-1', phase: 'gate', ms: 500, detail: 'failed: 0.5 s  over' },
  ])('is known by its columns: $node $phase', ({ node, phase, ms, detail }) => {
    const tenths = ms === undefined ? undefined : Math.round(ms / 100) * 100;
    expect(parseProgress(progressLine(node, phase, ms, detail))).toEqual({ node, phase, ms: tenths, detail });
  });

  it.each([
    '',
    'plan for lab: 13 changes',
    '  create   redis-1: g6-nanode-1, 198.18.0.11, redis',
    '##[group]Run ./actions/rollout',
    '##[group]redis-primary-kill',
    '  environment: lab',
    'installation done',
    'installation completed successfully',
    'redis-1 took 10.0 s',
    'redis-1  install  1.8 s  redis-server',
    'Get:1 http://deb.debian.org/debian trixie/main amd64 liblzf1 amd64 3.6-4 [10.3 kB]',
    'Unpacking redis-tools (5:8.0.2-3+deb13u3) ...',
    `${progressLine('redis-1', 'gate', 500, 'one')}\ntwo`,
  ])('is not: %s', (line) => expect(parseProgress(line)).toBeUndefined());
});

it('tells of a long installation when it begins, by node, and of none where nothing is missing', async () => {
  const facts = new Map([
    ['redis-1', blank('redis-1')],
    ['redis-2', deployed(releaseOf('redis-2'))],
  ]);
  const rollout = world(() => ({}), facts, ['redis-1', 'redis-2']);
  await stageAll(rollout.plans, rollout);
  const told = rollout.lines.flatMap((line) => parseProgress(line) ?? []).filter(({ phase }) => phase === 'installing');
  expect(told).toMatchObject([{ node: 'redis-1', detail: expect.stringContaining('redis-server') }]);
});

describe('the terminal without --verbose', () => {
  it('shows the progress lines of each step below its name, and cuts the long ones', () => {
    const shown: string[] = [];
    const output = progressOnly((line) => shown.push(line));
    output('##[group]Run ./actions/rollout', 'Roll out');
    output(progressLine('redis-1', 'install', 1800, 'a'.repeat(200)), 'Roll out');
    output(progressLine('redis-1', 'users', 100), 'Roll out');
    output('done', 'Post Roll out');
    output(progressLine('redis-primary-kill', 'broken', undefined, 'kill -9'), 'Drill');
    expect(shown).toEqual([
      '  running             Roll out',
      expect.stringMatching(/^ {4}redis-1 {14}install {10}1\.8 s {2}a+…$/),
      '    redis-1              users            0.1 s',
      '  running             Drill',
      '    redis-primary-kill   broken                  kill -9',
    ]);
    expect(shown[1]).toHaveLength(120);
  });

  it('shows them masked, before the line of the step that prints them', async () => {
    const shown: string[] = [];
    const line = progressLine('redis-1', 'install', 1800, 'with correct horse');
    const repo = repoWith(oneJob(`      - { name: Roll out, run: "echo '${line}'; echo quiet" }\n`));
    const write = (text: string): void => void shown.push(text);
    await repo.run({ log: { step: write, output: progressOnly(write) } });
    const at = shown.findIndex((each) => each.includes('redis-1'));
    expect(shown.slice(at - 1, at + 2)).toEqual([
      '  running             Roll out',
      '    redis-1              install          1.8 s  with ***',
      expect.stringMatching(/^ {2}success .* Roll out$/),
    ]);
    expect(shown.join('\n')).not.toMatch(/horse|quiet/);
  });
});
