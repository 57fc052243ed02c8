import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { listEnvironment } from '../../actions/core/inventory.ts';
import { type LinodeApi, linodeApi } from '../../actions/core/linode/api.ts';
import { LinodeError } from '../../actions/core/linode/errors.ts';
import { labelOf } from '../../actions/core/linode/names.ts';
import { allPages } from '../../actions/core/linode/pages.ts';
import { Secret } from '../../actions/core/secret.ts';
import type { JsonRequest } from '../lab/json-server.ts';
import type { Fault } from '../lab/linode-api/index.ts';
import { labEnvironment } from '../unit/environment-fixture.ts';
import { startRig, token } from './linode-setup.ts';

type CreateRequest = Parameters<LinodeApi['createInstance']>[0];
const machine: CreateRequest = {
  label: 'machine-1',
  region: 'lab-1',
  type: 'g6-nanode-1',
  image: 'linode/debian13',
  root_pass: 'forgotten-at-once',
};

const isCreate = (request: JsonRequest) => request.method === 'POST' && request.path.endsWith('/linode/instances');
const refusal = (status: number, reason: string, headers = {}): Fault => ({
  reply: { status, headers, body: { errors: [{ reason }] } },
});

/** A client, and a region that does what `script` says to the first requests it matches. */
async function startClient(
  matches: (request: JsonRequest) => boolean = () => false,
  script: Fault[] = [],
  options: { requestTimeoutMs?: number; lassieDelayMs?: number } = {},
) {
  const seen: string[] = [];
  const { requestTimeoutMs = 2000, ...regionOptions } = options;
  const rig = await startRig({
    ...regionOptions,
    faults: (request) => {
      if (!matches(request)) return undefined;
      seen.push(request.path);
      return script.shift();
    },
  });
  const connect = (given: string, baseUrl = rig.server.url) =>
    linodeApi({
      baseUrl,
      token: new Secret(given),
      requestTimeoutMs,
      retry: { pauseMs: 5, maxPauseMs: 20, forMs: 4000 },
    });
  return { rig, seen, connect, api: connect(token) };
}

const labels = (rig: { server: { state(): { instances: { label: string }[] } } }) =>
  rig.server.state().instances.map((each) => each.label);

describe('creating a machine happens once', () => {
  it.each<[string, Fault]>([
    ['whose answer was lost', { breaks: 'reset', when: 'after' }],
    ['whose answer never came', { breaks: 'hang', when: 'after' }],
    ['that never reached Linode', { breaks: 'reset', when: 'before' }],
    ['that a gateway gave up on', refusal(502, 'Bad gateway')],
    ['that came too soon', refusal(429, 'Too many requests', { 'retry-after': '1' })],
    ['that Linode had no time for', refusal(503, 'Unavailable')],
  ])('after a request %s', async (_, fault) => {
    const { rig, api } = await startClient(isCreate, [fault], { requestTimeoutMs: 300 });
    expect((await api.createInstance(machine)).label).toBe('machine-1');
    expect(labels(rig)).toEqual(['machine-1']);
  });

  it('and is not tried again when the account is full', async () => {
    const { api, seen } = await startClient(isCreate, [refusal(400, 'Account Limit reached.')]);
    await expect(api.createInstance(machine)).rejects.toThrow(/Account Limit reached.*Ask Linode to raise the limit/);
    expect(seen).toHaveLength(1);
  });

  it('and does not take a stranger with the same label for its own', async () => {
    const { api } = await startClient();
    await api.createInstance(machine);
    await expect(api.createInstance(machine)).rejects.toThrow(/label: Label must be unique/);
  });
});

describe('the client', () => {
  it('waits while Linode is busy', async () => {
    const { api } = await startClient();
    const { id } = await api.createInstance({ ...machine, booted: false });
    await api.bootInstance(id);
    await expect.poll(async () => (await api.getInstance(id)).status).toBe('running');
  });

  it('does not boot twice when the answer was lost', async () => {
    const { rig, api } = await startClient(
      (request) => request.path.endsWith('/boot'),
      [{ breaks: 'reset', when: 'after' }],
    );
    const { id } = await api.createInstance({ ...machine, booted: false });
    await api.bootInstance(id);
    expect(rig.server.state().events.filter((event) => event.action === 'linode_boot')).toHaveLength(1);
  });

  it('reads through all pages, and only so far', async () => {
    const asked: number[] = [];
    const all = await allPages(async ({ page = 0 }) => {
      asked.push(page);
      return { data: [page], page, pages: 3, results: 3 };
    });
    expect([all, asked]).toEqual([
      [1, 2, 3],
      [1, 2, 3],
    ]);
  });

  it('lists what there are', async () => {
    const { rig, api } = await startClient();
    const names = Array.from({ length: 20 }, (_, index) => `machine-${index}`);
    await Promise.all(names.map((label) => api.createInstance({ ...machine, label })));
    expect((await api.listInstances()).map((each) => each.label).toSorted()).toEqual(names.toSorted());
    expect(labels(rig)).toHaveLength(20);
  });

  it('gives a request up at its deadline and says so', async () => {
    const hang: Fault = { breaks: 'hang', when: 'before' };
    const { api } = await startClient(
      () => true,
      Array.from({ length: 9 }, () => hang),
      { requestTimeoutMs: 100 },
    );
    const error = await api.listInstances().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'timeout' });
    expect(String(error)).toContain('no answer within 100 ms');
  });

  it('never shows the token, however an error is printed', async () => {
    const { connect, api } = await startClient();
    const wrong = 'a-wrong-token-that-is-secret';
    const failures = await Promise.all([
      connect(wrong)
        .listInstances()
        .catch((error: unknown) => error),
      connect(wrong, 'http://127.0.0.1:1')
        .getInstance(1)
        .catch((error: unknown) => error),
      api.createInstance({ ...machine, region: 'nowhere' }).catch((error: unknown) => error),
      api.createInstance({ ...machine, label: 'x' }).catch((error: unknown) => error),
      api.getInstance(1).catch((error: unknown) => error),
    ]);
    for (const failure of failures) {
      expect(failure).toBeInstanceOf(LinodeError);
      const shown = `${inspect(failure, { depth: 9, showHidden: true })} ${JSON.stringify(failure)} ${(failure as Error).stack}`;
      for (const secret of [wrong, token, 'forgotten-at-once']) expect(shown).not.toContain(secret);
    }
    const [unauthorised, unreachable, elsewhere, short, absent] = failures.map(String);
    expect(unauthorised).toMatch(/401 Invalid Token. Set LINODE_TOKEN/);
    expect(unreachable).toMatch(/ECONNREFUSED/);
    expect(elsewhere).toMatch(/400 region: region is not valid/);
    expect(short).toMatch(/label: .*3/i);
    expect(absent).toMatch(/get instance 1: 404 Not found/);
  });

  it('keeps two accounts apart in one process', async () => {
    const [one, other] = [await startClient(), await startClient()];
    await Promise.all([
      one.api.createInstance({ ...machine, label: 'mine' }),
      other.api.createInstance({ ...machine, label: 'yours' }),
    ]);
    expect([labels(one.rig), labels(other.rig)]).toEqual([['mine'], ['yours']]);
  });

  it('does not mind what it deletes being gone', async () => {
    const { api } = await startClient();
    await api.deleteInstance(4711);
  });
});

describe("the lab's Linode API", () => {
  it('refuses a request that Linode would refuse, naming the field', async ({ skip }) => {
    const { rig } = await startClient();
    if (!rig.server.checked) skip("Linode's description is not here (LINODE_API_SCHEMA)");
    const post = async (path: string, body: unknown) => {
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
      const response = await fetch(`${rig.server.url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
      return [response.status, await response.json()];
    };
    expect(await post('/v4/linode/instances', { region: 'lab-1' })).toEqual([
      400,
      { errors: [{ field: 'type', reason: "must have required property 'type'" }] },
    ]);
    expect(await post('/v4/linode/instances', { ...machine, label: 'two--hyphens' })).toMatchObject([
      400,
      { errors: [{ field: 'label' }] },
    ]);
    expect(await post('/v4/vpcs', { label: 'x' })).toMatchObject([400, { errors: [{ field: 'region' }] }]);
  });

  it('boots a machine that goes off by itself, as the watchdog does, but not one that was shut down', async () => {
    const { rig, api } = await startClient(undefined, [], { lassieDelayMs: 20 });
    const { id } = await api.createInstance(machine);
    const status = async () => (await api.getInstance(id)).status;
    await expect.poll(status).toBe('running');
    rig.machines.become('machine-1', 'offline');
    await expect.poll(status).toBe('offline');
    await expect.poll(status).toBe('running');
    await api.shutdownInstance(id);
    await expect.poll(status).toBe('offline');
    await new Promise((resolve) => setTimeout(resolve, 80));
    expect(await status()).toBe('offline');
    const actions = (await api.listInstanceEvents([id])).map((event) => [event.action, event.status]);
    expect(actions).toEqual([
      ['linode_shutdown', 'finished'],
      ['lassie_reboot', 'finished'],
      ['linode_boot', 'finished'],
      ['linode_create', 'finished'],
    ]);
  });

  it('lists a fleet of a thousand, and its events, in headers that a server takes', async () => {
    const { rig, api } = await startClient();
    const one = labEnvironment().nodes[0];
    if (one === undefined) throw new Error('no node');
    const nodes = Array.from({ length: 1000 }, (_, index) => ({ ...one, name: `node-${index}` }));
    const environment = { ...labEnvironment(), nodes };
    const mine = await api.createInstance({ ...machine, label: labelOf(environment, { name: 'node-999' }) });
    await api.createInstance({ ...machine, label: 'firedrill-other-node-999' });
    expect((await listEnvironment(environment, api)).map((each) => each.id)).toEqual([mine.id]);
    const ids = [...nodes.map((_, index) => 90_000_000 + index), mine.id];
    await expect.poll(async () => (await api.listInstanceEvents(ids)).length).toBeGreaterThan(0);
    expect((await api.listInstanceEvents(ids)).every((event) => event.entity?.id === mine.id)).toBe(true);
    expect(labels(rig)).toHaveLength(2);
  });

  it('reboots and deletes', async () => {
    const { rig, api } = await startClient();
    const { id } = await api.createInstance(machine);
    await api.rebootInstance(id);
    await api.deleteInstance(id);
    await expect.poll(() => labels(rig)).toEqual([]);
    expect(rig.machines.state('machine-1')).toBe('missing');
  });

  it('creates at most 20 machines in 15 s, as Linode does', async () => {
    const { rig } = await startClient();
    const create = async (index: number) => {
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
      const body = JSON.stringify({ ...machine, label: `machine-${index}` });
      return await fetch(`${rig.server.url}/v4/linode/instances`, { method: 'POST', headers, body });
    };
    const answers = await Promise.all(Array.from({ length: 21 }, (_, index) => create(index)));
    const refused = answers.filter((answer) => answer.status === 429);
    expect(refused).toHaveLength(1);
    expect(Number(refused[0]?.headers.get('retry-after'))).toBeGreaterThan(10);
  });
});
