import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { parseRedis } from '../../actions/core/redis.ts';
import { parseFacts } from '../../actions/rollout/facts.ts';
import { inputNames, outputNames, readInputs } from '../../actions/rollout/inputs.ts';
import { templatePlace } from '../../actions/rollout/stage.ts';
import { fleetStatus, statusTable } from '../../actions/rollout/status.ts';
import { labEnvironment } from './environment-fixture.ts';
import { blank, primaryFacts, releaseOf } from './rollout-fixture.ts';
import { fact, told } from './rollout-told.ts';

describe('what a node tells', () => {
  it('is read as facts', () => {
    const output = told(
      fact('time', '1000000'),
      fact('lease', 'abc 7 990000 1020000 somebody'),
      fact('pending', 'deadline\t1005000\nrun\tr\ngeneration\t7\nnonce\tsecret\nfrom\t-\nto\td1\nunit\tx\trestart'),
      fact('last', 'run\tq\nfrom\td0\nto\td1'),
      fact('bad', 'd9\tr\tit crashed'),
      fact('current', 'd1'),
      fact('running', 'redis-server d0'),
      fact('files', `${'a'.repeat(64)}  /etc/redis/firedrill.conf`),
      fact('packages', 'installed redis-server 5:8.0.2-3\ndpkg-query: no packages found matching socat', 1),
      fact(
        'units',
        'MainPID=12\nNRestarts=0\nId=redis-server.service\nActiveState=active\nSubState=running\nUnitFileState=enabled',
      ),
      fact('redis', 'Could not connect', 1),
      fact('end', ''),
    );
    expect(parseFacts('redis-1', output)).toMatchObject({
      current: 'd1',
      running: { 'redis-server': 'd0' },
      packages: { 'redis-server': '5:8.0.2-3' },
      disk: { '/etc/redis/firedrill.conf': 'a'.repeat(64) },
      lease: { run: 'abc', who: 'somebody', heldMs: 10_000, leftMs: 20_000 },
      generation: 7,
      pending: { run: 'r', generation: 7, from: undefined, to: 'd1', leftMs: 5000 },
      last: { run: 'q', from: 'd0', to: 'd1' },
      bad: { d9: 'in run r: it crashed' },
      units: { 'redis-server': { active: 'active', pid: 12 } },
      redis: undefined,
    });
  });

  it('is refused when it ends early', () => {
    const cut = fact('content d1 /etc/redis/firedrill.conf', 'requirepass secret'.repeat(20)).slice(0, -30);
    const error = (output: string) => {
      try {
        parseFacts('redis-1', output);
      } catch (thrown) {
        return String(thrown);
      }
    };
    // Without a word of what the facts hold.
    expect(error(told(fact('time', '1'), fact('lease', 'x'), cut))).toBe(
      'Error: the facts of redis-1 end early, after: time, lease',
    );
    expect(error('')).toContain('after: nothing');
  });

  it('is not taken from a command that failed', () => {
    const output = told(fact('content d1 /x', 'cat: /x: No such file', 1), fact('end', ''));
    expect(parseFacts('redis-1', output).contents).toEqual({});
  });

  it('knows a primary’s replicas', () => {
    const info =
      'loading:0\r\nrole:master\r\nslave0:ip=10.0.0.2,port=6379,state=online,offset=90,lag=1\r\nmaster_repl_offset:100\r\n';
    expect(parseRedis(info)).toMatchObject({
      role: 'primary',
      offset: 100,
      replicas: [{ address: '10.0.0.2', online: true, lagS: 1 }],
    });
  });
});

describe('what a checker refuses', () => {
  const place = (node: string, path: string, detail: string) => templatePlace({ path, detail }, releaseOf(node));

  it('is told by template and line', () => {
    const cfg = '/etc/haproxy/haproxy.cfg';
    const lines = releaseOf('lb-1').files[0]?.content.toString('utf8').split('\n') ?? [];
    const line = lines.findIndex((each) => each.includes('httpchk')) + 1;
    const template = readFileSync('configs/haproxy/haproxy.cfg', 'utf8').split('\n');
    const expected = template.findIndex((each) => each.includes('httpchk')) + 1;
    expect(place('lb-1', cfg, `[ALERT] config : parsing [${cfg}:${line}] : unknown keyword`)).toBe(
      `configs/haproxy/haproxy.cfg:${expected}`,
    );
    expect(line).not.toBe(expected);
  });

  it('is found by the line that Redis quotes, and by what Sentinel was asked to set', () => {
    const redis = place('redis-1', '/etc/redis/firedrill.conf', "at line 99\n>>> 'appendonly yes'\nwrong");
    expect(redis).toMatch(/^configs\/redis\/firedrill.conf:\d+$/);
    const sentinel = place(
      'sentinel-1',
      '/etc/redis/firedrill-sentinel.conf',
      'sentinel refuses: SENTINEL SET mymaster quorum 2: ERR',
    );
    expect(sentinel).toMatch(/^configs\/sentinel\/firedrill-sentinel/);
  });
});

describe('the status', () => {
  it('shows every node, who is primary, the lag, and who cannot be reached', () => {
    const environment = labEnvironment();
    const facts = new Map([
      ['redis-1', { ...blank('redis-1'), redis: { ...primaryFacts('198.18.0.12'), offset: 130 } }],
      [
        'redis-2',
        {
          ...blank('redis-2'),
          redis: {
            role: 'replica' as const,
            loading: false,
            offset: 100,
            readBytes: undefined,
            follows: { address: '198.18.0.11', linkUp: false },
            replicas: [],
          },
        },
      ],
    ]);
    const status = fleetStatus(environment, facts);
    expect(status.map((node) => node.redis).slice(0, 3)).toEqual([
      'primary',
      'replica of redis-1, link down',
      undefined,
    ]);
    expect(status[1]?.lagBytes).toBe(30);
    expect(statusTable(status)).toMatch(/redis-3 .* unreachable/);
  });

  it('shows which release stands, what waits for its confirmation, and who works there', () => {
    const pending = { run: 'r', generation: 1, from: undefined, to: 'd', leftMs: 4100 };
    const lease = { run: 'r', who: 'me', heldMs: 1, leftMs: 1 };
    const facts = { ...blank('lb-1'), current: 'd'.repeat(64), pending, lease, bad: { x: 'y' } };
    const status = fleetStatus(labEnvironment(), new Map([['lb-1', facts]]));
    expect(status.find((node) => node.node === 'lb-1')?.release).toBe(
      'release dddddddddddd, unconfirmed for 5 s more, held by run r (me), 1 refused',
    );
  });
});

describe('action.yml', () => {
  const action = parse(readFileSync('actions/rollout/action.yml', 'utf8'));

  it('has the inputs and outputs that the code reads and writes', () => {
    expect(Object.keys(action.inputs)).toEqual([...inputNames]);
    expect(Object.keys(action.outputs)).toEqual([...outputNames]);
  });

  it('is refused with the input’s name when one is missing or wrong', () => {
    const given: Record<string, string> = {
      environment: 'lab',
      'linode-token': 't',
      secret: 'x'.repeat(32),
      binary: 'b',
      mode: 'apply',
    };
    const read = (changes: Record<string, string>) => () =>
      readInputs((name) => ({ ...given, ...changes })[name] ?? '');
    expect(read({})().mode).toBe('apply');
    expect(read({ binary: '' })).toThrow('input binary: is missing');
    for (const mode of ['status', 'rollback']) expect(read({ mode, binary: '' })().binary).toBe('');
    expect([read({})().force, read({ force: 'true' })().force]).toEqual([false, true]);
    expect(read({ force: 'yes' })).toThrow('input force');
    expect(read({ mode: 'destroy' })).toThrow('input mode');
    expect(read({ secret: 'short' })).toThrow('input secret');
    expect(read({ environment: '../x' })).toThrow('input environment');
  });
});
