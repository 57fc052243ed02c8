import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Secret } from '../../actions/core/secret.ts';
import { objections, openDeploys, outputOf } from '../../actions/drill/deploy.ts';
import type { Fleet } from '../../actions/drill/fleet.ts';
import { labEnvironment } from './environment-fixture.ts';

const roles = ['app/sessiond.conf', 'haproxy/haproxy.cfg', 'redis/redis-server.service.conf'];

/** A rollout whose fleet is the folder "fleet" of the checkout: what configs/ and the binary say is there, or is put there. */
const fakeRollout = `
import { appendFileSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
const [here, { INPUT_MODE: mode, INPUT_BINARY: binary, GITHUB_OUTPUT: output }] = [process.argv[1].replace('/actions/rollout/dist/index.js', ''), process.env];
const say = (name, value) => appendFileSync(output, name + '<<ghadelimiter_1\\n' + value + '\\nghadelimiter_1\\n');
const program = readFileSync(binary, 'utf8');
const wanted = JSON.stringify([...readdirSync('configs', { recursive: true, withFileTypes: true }).filter((each) => each.isFile()).map((each) => readFileSync(each.parentPath + '/' + each.name, 'utf8')), program]);
const there = readFileSync(here + '/fleet', 'utf8');
appendFileSync(here + '/runs', mode + (program.includes('exit 1') ? ' broken' : '') + ' ' + (process.cwd() === here ? 'here' : 'a copy') + '\\n');
console.log('::add-mask::' + process.env.INPUT_SECRET);
if (mode === 'apply' && program.includes('exit 1')) {
  say('bad', JSON.stringify([{ node: 'app-1' }]));
  console.log('::error::app-1 is not well');
  process.exit(1);
}
if (mode === 'apply') writeFileSync(here + '/fleet', wanted);
say('changed', String(wanted !== there));
`;

let here: string;
beforeEach(() => {
  here = mkdtempSync(join(tmpdir(), 'firedrill-deploys-'));
  for (const folder of [
    'actions/rollout/dist',
    'environments',
    'configs/app',
    'configs/haproxy',
    'configs/redis',
    'configs/sentinel',
  ])
    mkdirSync(join(here, folder), { recursive: true });
  for (const file of [...roles, 'sentinel/redis-sentinel.service.conf'])
    writeFileSync(join(here, 'configs', file), `${file}\n`);
  writeFileSync(join(here, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(here, 'actions/rollout/dist/index.js'), fakeRollout);
  writeFileSync(join(here, 'fleet'), deployed());
});
afterEach(() => rmSync(here, { recursive: true }));

const program = '#!/bin/true';
const deployed = () =>
  JSON.stringify([...roles, 'sentinel/redis-sentinel.service.conf'].map((file) => `${file}\n`).concat(program));
const runs = () => readFileSync(join(here, 'runs'), 'utf8').trim().split('\n');

function open() {
  const exec = async () => ({ code: 0, stdout: Buffer.from(program).toString('base64'), stderr: '' });
  const environment = labEnvironment();
  const nodes = environment.nodes.map((node) => ({ ...node, ssh: { node: node.name, exec } }));
  const inputs = { environment: 'lab', fleetSecret: new Secret('f'.repeat(32)), linodeToken: new Secret('t') };
  const rest = { githubToken: undefined, scenarios: 'core', repeat: undefined, out: 'out', runs: '' } as const;
  const { signal } = new AbortController();
  return openDeploys({ environment, nodes } as unknown as Fleet, { ...inputs, ...rest }, { here, signal });
}

describe("a deploy of the drill's own", () => {
  test('is refused when it would bring something new', async () => {
    const deploys = await open();
    await deploys.prove();
    writeFileSync(join(here, 'configs/app/sessiond.conf'), 'of a commit that is not deployed yet\n');
    await expect(deploys.prove()).rejects.toMatchObject({ code: 'config' });
    expect(runs()).toEqual(['plan here', 'plan here']);
    deploys.close();
  });

  test('is not taken for something new when its plan failed', async () => {
    const deploys = await open();
    const failing = "console.log('::error::no way to redis-1'); process.exit(1);";
    writeFileSync(join(here, 'actions/rollout/dist/index.js'), failing);
    await expect(deploys.prove()).rejects.toThrow(/the plan of what is checked out failed: no way to redis-1\. Mend/);
    await expect(deploys.prove()).rejects.toMatchObject({ code: 'remote' });
    deploys.close();
  });

  test('of what is deployed must change nothing', async () => {
    const deploys = await open();
    expect(await deploys.roll('same')).toEqual([]);
    writeFileSync(join(here, 'fleet'), 'touched by hand');
    expect(await deploys.roll('same')).toEqual(['the rollout changed something']);
    deploys.close();
  });

  test('with a change for every role comes from a copy, and what was deployed follows it', async () => {
    const deploys = await open();
    expect(await deploys.roll('changed')).toEqual([]);
    expect(runs()).toEqual(['apply a copy', 'apply here']);
    expect(readFileSync(join(here, 'fleet'), 'utf8')).toBe(deployed());
    deploys.close();
  });

  test('of a bad release must fail for its release, and leave nothing', async () => {
    const deploys = await open();
    expect(await deploys.roll('bad')).toEqual([]);
    expect(runs()).toEqual(['apply broken here', 'plan here']);
    writeFileSync(join(here, 'fleet'), 'what the bad release left');
    expect(await deploys.roll('bad')).toEqual(['after the bad release: the rollout changed something']);
    deploys.close();
  });
});

test('what a rollout must not do is said', () => {
  const end = { code: 0, changed: 'true', bad: '', tail: 'no way to redis-1' };
  const [well, ill] = [
    { ok: true, changed: true },
    { ok: false, changed: false },
  ];
  expect(objections({ ...end, changed: 'false' }, well)).toEqual(['the rollout changed nothing']);
  expect(objections({ ...end, code: 1 }, well)).toEqual(['the rollout failed: no way to redis-1']);
  expect(objections(end, ill)).toEqual(['the rollout of a bad release passed']);
  expect(objections({ ...end, code: 1, bad: '[]' }, ill).join()).toMatch(/another reason.*no way to redis-1/);
});

test('an output is what stands between its marks', () => {
  const text = 'report<<m1\n{\n"changed<<m2": 1}\nm1\nchanged<<m3\nfalse\nm3\n';
  expect(outputOf(text, 'changed')).toBe('false');
  expect(outputOf(text, 'bad')).toBe('');
});
