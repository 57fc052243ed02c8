import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { scenarioNames } from '../../../actions/core/environment/schema.ts';
import { readRuns, runsOf } from '../../../actions/drill/runs/file.ts';
import { summaryOfRuns } from '../../../actions/drill/runs/summary.ts';
import { asked } from '../fleet.ts';
import { drill, mustSucceed, type PipelineOptions, runsFile } from '../pipeline.ts';
import { drillAgainst } from './against.ts';
import { isInside, mustBeUp, runInside } from './inside.ts';

/** `drill [NAME...]` on a kept fleet. */
export async function drillKept(names: readonly string[], options: PipelineOptions): Promise<number> {
  mustBeUp();
  if (!isInside) return await runInside(['drill', ...names], options);
  if (options.against === 'reference') return await drillAgainst(names, options);
  if (options.against !== '') throw new Error(`--against ${options.against}: there is only the reference`);
  const result = await drill(names.includes('all') ? scenarioNames : names, options);
  if (options.repeat !== '') sayRuns();
  mustSucceed(result);
  console.log('the report is out/pull-request.md, the figures are out/drill.json');
  return 0;
}

function sayRuns(): void {
  const runs = readRuns(runsFile);
  const last = runs.at(-1);
  console.log(`\n${summaryOfRuns(last === undefined ? [] : runsOf(runs, last))}\n`);
  console.log('every run is a line of out/drill.jsonl; move it away to measure from the start');
}

/** `rollout` on a kept fleet: the rollout action's code on this work tree, with the binary that belongs to its c-app/. */
export async function rolloutKept(options: PipelineOptions & { readonly force: boolean }): Promise<number> {
  mustBeUp();
  if (!isInside) return await runInside(['rollout', ...(options.force ? ['--force'] : [])], options);
  return await asked('apply', options.from, options.force);
}

/** `rollback` on a kept fleet: the nodes of the last rollout go back to what they had before it. */
export async function rollbackKept(options: PipelineOptions): Promise<number> {
  mustBeUp();
  if (!isInside) return await runInside(['rollback'], options);
  return await asked('rollback', options.from);
}

/** `plan` on a kept fleet. */
export async function planKept(options: PipelineOptions): Promise<number> {
  mustBeUp();
  if (!isInside) return await runInside(['plan'], options);
  return await asked('plan', options.from);
}

/** `status` on a kept fleet. */
export async function statusKept(options: PipelineOptions): Promise<number> {
  mustBeUp();
  if (!isInside) return await runInside(['status'], options);
  return await asked('status', options.from);
}

/** `ssh NODE [COMMAND...]`, with the pinned host key, as the deploy user. */
export async function sshKept(words: readonly string[], options: PipelineOptions): Promise<number> {
  mustBeUp();
  if (!isInside) return await runInside(['ssh', '--', ...words], options);
  const [name, ...command] = words;
  if (name === undefined) throw new Error('say which node: npm run lab -- ssh redis-1');
  const { sshLogin } = await import('../fleet.ts');
  const login = await sshLogin(name);
  const folder = mkdtempSync(join(tmpdir(), 'firedrill-ssh-'));
  try {
    writeFileSync(join(folder, 'key'), login.privateKey, { mode: 0o600 });
    writeFileSync(join(folder, 'known_hosts'), `${login.host} ${login.hostKey}\n`);
    const options = [
      '-i',
      join(folder, 'key'),
      '-o',
      `UserKnownHostsFile=${join(folder, 'known_hosts')}`,
      '-o',
      'IdentitiesOnly=yes',
      '-o',
      'LogLevel=ERROR',
    ];
    return spawnSync('ssh', [...options, `${login.user}@${login.host}`, ...command], { stdio: 'inherit' }).status ?? 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
