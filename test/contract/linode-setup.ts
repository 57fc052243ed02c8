import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { linodeApi } from '../../actions/core/linode/api.ts';
import { plainLog } from '../../actions/core/log.ts';
import { Secret } from '../../actions/core/secret.ts';
import type { ProvisionInputs } from '../../actions/provision/inputs.ts';
import { type ProvisionDeps, type ProvisionResult, run } from '../../actions/provision/run.ts';
import { type LinodeApiOptions, type LinodeApiServer, startLinodeApi } from '../lab/linode-api/index.ts';
import { type FakeMachines, fakeMachines } from './linode-fakes.ts';

export const token = 'the-token-of-the-lab';
export const fleetSecret = new Secret('a fleet secret of at least thirty-two characters');

/** A region in this process, and a provision action aimed at it. Everything is gone when the test ends. */
export interface Rig {
  readonly machines: FakeMachines;
  readonly lines: string[];
  readonly summaries: string[];
  readonly masked: string[];
  /** What the lab complained of. */
  readonly serverLog: string[];
  readonly server: LinodeApiServer;
  /** A repository's folder with environment and configs. */
  readonly folder: string;
  writeEnvironment(edit?: (yaml: string) => string): void;
  provision(options?: {
    mode?: 'apply' | 'plan';
    edit?: (yaml: string) => string;
    deps?: Partial<ProvisionDeps>;
  }): Promise<ProvisionResult>;
  /** Ends the server and starts it again on the same state. */
  restart(): Promise<void>;
}

export async function startRig(
  options: Partial<LinodeApiOptions> & { machines?: FakeMachines; pollMs?: number } = {},
): Promise<Rig> {
  const folder = mkdtempSync(join(tmpdir(), 'firedrill-provision-'));
  const machines = options.machines ?? fakeMachines();
  const serverLog: string[] = [];
  const start = (port: number) =>
    startLinodeApi({
      host: '127.0.0.1',
      port,
      token,
      stateFile: join(folder, 'linode.json'),
      log: (line) => serverLog.push(line),
      ...options,
      machines,
    });
  let server = await start(0);
  const port = Number(new URL(server.url).port);
  onTestFinished(async () => {
    await server.close();
    await machines.close();
    rmSync(folder, { recursive: true });
  });
  mkdirSync(join(folder, 'environments'));
  mkdirSync(join(folder, 'configs/cloud-init'), { recursive: true });
  const template = 'configs/cloud-init/user-data.yaml';
  writeFileSync(join(folder, template), readFileSync(template));
  const environment = readFileSync('environments/lab.yaml', 'utf8')
    .replace('http://198.18.0.1:4010', server.url)
    .replace('pollIntervalMs: 100', `pollIntervalMs: ${options.pollMs ?? 10}`)
    .replace('bootTimeoutMs: 120000', 'bootTimeoutMs: 10000');
  const rig: Rig = {
    machines,
    serverLog,
    lines: [],
    summaries: [],
    masked: [],
    folder,
    get server() {
      return server;
    },
    writeEnvironment: (edit = (yaml) => yaml) => {
      writeFileSync(join(folder, 'environments/lab.yaml'), edit(environment));
    },
    provision: async ({ mode = 'apply', edit, deps = {} } = {}) => {
      rig.writeEnvironment(edit);
      const inputs: ProvisionInputs = { environment: 'lab', mode, fleetSecret, linodeToken: new Secret(token) };
      return await run(inputs, {
        linode: (given) => linodeApi({ ...given, retry: { ...given.retry, pauseMs: 5, maxPauseMs: 50, forMs: 5000 } }),
        connect: machines.connect,
        log: plainLog((line) => rig.lines.push(line)),
        mask: (value) => rig.masked.push(value),
        summary: async (markdown) => void rig.summaries.push(markdown),
        root: folder,
        ...deps,
      });
    },
    restart: async () => {
      await server.close();
      server = await start(port);
    },
  };
  return rig;
}
