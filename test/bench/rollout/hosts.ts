import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { withDeadline } from '../../../actions/core/deadline.ts';
import type { EnvironmentNode } from '../../../actions/core/environment/schema.ts';
import { run } from '../../lab/machines/exec.ts';
import { clone, nodeBinary } from '../../lab/paths.ts';
import { binaryPath } from '../../lab/pipeline.ts';
import type { Recorded } from './measured.ts';
import type { SimulatedHost, Simulation } from './simulated.ts';

/** One plan for so many simulated hosts. */
export interface PlanCost {
  readonly hosts: number;
  readonly ms: number;
  /** Peak resident memory of the planning process. */
  readonly peakMb: number;
}

export const counts = [50, 100, 200, 1000] as const;
const repeats = 3;
const sshPort = 2222;
const apiPort = 4011;

/** Plans for 50 to 1,000 hosts, three times each, with the rollout action's bundle in a process of its own. */
export async function measurePlans(recorded: Recorded, log: (line: string) => void): Promise<PlanCost[]> {
  const costs: PlanCost[] = [];
  for (const count of counts) {
    const folder = mkdtempSync(join(tmpdir(), 'firedrill-hosts-'));
    const fleetSecret = randomBytes(32).toString('hex');
    const nodes = writeEnvironment(folder, count);
    const hosts = nodes.map((node, index) => simulatedHost(node, index, recorded));
    const serving = await serve({ environment: 'lab', fleetSecret, apiPort, sshPort, hosts });
    try {
      for (let repeat = 0; repeat < repeats; repeat += 1) {
        const cost = await plan(folder, fleetSecret, count);
        costs.push(cost);
        log(`${count} simulated hosts: planned in ${(cost.ms / 1000).toFixed(2)} s with ${cost.peakMb.toFixed(0)} MB`);
      }
    } finally {
      serving.kill('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    }
  }
  return costs;
}

/** The lab's environment with more apps, as a repository in `folder`. Gives its nodes. */
function writeEnvironment(folder: string, count: number): EnvironmentNode[] {
  cpSync(`${clone}/configs`, `${folder}/configs`, { recursive: true });
  mkdirSync(`${folder}/environments`);
  const environment = parse(readFileSync(`${clone}/environments/lab.yaml`, 'utf8'));
  const more = Array.from({ length: count - environment.nodes.length }, (_, index) => ({
    name: `app-${index + 100}`,
    roles: ['app'],
    address: `198.18.${1 + Math.floor(index / 250)}.${1 + (index % 250)}`,
  }));
  environment.nodes.push(...more);
  environment.network.subnet = '198.18.0.0/16';
  environment.linode.api = `http://127.0.0.1:${apiPort}`;
  environment.ssh = { ...environment.ssh, port: sshPort, connectTimeoutMs: 60_000 };
  writeFileSync(`${folder}/environments/lab.yaml`, stringify(environment));
  return environment.nodes;
}

/** A node of the lab's says what that one told; one that the lab has not, what its first app told. */
function simulatedHost({ name, address }: EnvironmentNode, index: number, recorded: Recorded): SimulatedHost {
  const told = recorded[name] ?? recorded['app-1'];
  if (told === undefined) throw new Error('the lab told nothing of app-1');
  return { name, address, publicAddress: `127.1.${Math.floor(index / 250)}.${1 + (index % 250)}`, told };
}

async function serve(simulation: Simulation): Promise<ChildProcess> {
  const script = `${clone}/test/bench/rollout/simulated.ts`;
  const child = spawn(nodeBinary, [script], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ready = new Promise<void>((resolve, reject) => {
    child.stdout.once('data', () => resolve());
    child.once('exit', (code) => reject(new Error(`the simulated hosts ended with ${code}`)));
    child.once('error', reject);
  });
  child.stdin.end(JSON.stringify(simulation));
  await withDeadline(ready, 60_000, 'the simulated hosts to serve', () => child.kill('SIGKILL'));
  return child;
}

// The peak of this program alone; what getrusage says may be its parent's.
const tellsPeak = `data:text/javascript,${encodeURIComponent(
  "import { readFileSync, writeFileSync } from 'node:fs'; process.on('exit', () => writeFileSync(process.env.PEAK_FILE, readFileSync('/proc/self/status')));",
)}`;

async function plan(folder: string, fleetSecret: string, hosts: number): Promise<PlanCost> {
  const peakFile = `${folder}/peak`;
  const output = `${folder}/output`;
  writeFileSync(output, '');
  const env = {
    PATH: process.env.PATH,
    PEAK_FILE: peakFile,
    GITHUB_OUTPUT: output,
    ...{ INPUT_ENVIRONMENT: 'lab', INPUT_MODE: 'plan', INPUT_BINARY: binaryPath },
    ...{ INPUT_SECRET: fleetSecret, 'INPUT_LINODE-TOKEN': 'simulated' },
  };
  const argv = [nodeBinary, `--import=${tellsPeak}`, `${clone}/actions/rollout/dist/index.js`];
  const begun = performance.now();
  await run(argv, { cwd: folder, env, timeoutMs: 120_000 });
  const ms = performance.now() - begun;
  if (!/^changed<<(\S+)\ntrue\n\1$/m.test(readFileSync(output, 'utf8')))
    throw new Error('the plan of the simulated hosts has nothing to change');
  const peak = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(peakFile, 'utf8'))?.[1];
  if (peak === undefined) throw new Error('the planning process told no peak');
  return { hosts, ms, peakMb: Number(peak) / 1024 };
}
