import { spawn } from 'node:child_process';
import { appendFileSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FiredrillError } from '../core/errors.ts';
import { type Fleet, fleetNodes } from './fleet.ts';
import type { DrillInputs } from './inputs.ts';
import type { Release } from './scenarios/index.ts';

/** Deploys of the drill's own: the rollout action as the workflow runs it, in a process of its own. */
export interface Deploys {
  /**
   * Throws a FiredrillError unless what is checked out is what is deployed (`config`): a drill deploys nothing new; `remote` when that
   * can't be told.
   */
  prove(): Promise<void>;
  /** Rolls that release out, and what was deployed again. Gives what was not as it has to be, each without a full stop. */
  roll(release: Release): Promise<string[]>;
  close(): void;
}

interface Rollout {
  readonly code: number | null;
  /** The action's outputs; '' for what it did not write. */
  readonly changed: string;
  readonly bad: string;
  /** The last lines that it printed. */
  readonly tail: string;
}

/** What a rollout of one node after the other may take (ms). */
const timeoutMs = 900_000;
const program = 'usr/local/bin/sessiond';
/** What the rollout's action.yml names. */
const bundle = 'actions/rollout/dist/index.js';
/** One file of each role that serves, and what it takes to apply a change of it: restarts, a reload, a planned handover. */
const touched = [
  'app/sessiond.conf',
  'haproxy/haproxy.cfg',
  'redis/redis-server.service.conf',
  'sentinel/redis-sentinel.service.conf',
];
/** Its configuration is fine with it, and it never gets ready. */
const broken =
  '#!/bin/sh\ncase " $* " in *" --check "*) exit 0 ;; esac\necho "a release that a drill broke on purpose" >&2\nexit 1\n';

/** Of the checkout at `here`. Fetches the program that is deployed from the first app node. Throws a FiredrillError (`remote`) when it can't. */
export async function openDeploys(
  fleet: Fleet,
  inputs: DrillInputs,
  { here, signal }: { readonly here: string; readonly signal: AbortSignal },
): Promise<Deploys> {
  const folder = mkdtempSync(join(tmpdir(), 'firedrill-deploy-'));
  const binary = join(folder, 'sessiond');
  const run = (mode: 'plan' | 'apply', cwd = here, file = binary) =>
    rollout(inputs, { bundle: join(here, bundle), mode, binary: file, cwd, output: join(folder, 'output') }, signal);
  const close = () => rmSync(folder, { recursive: true, force: true });
  try {
    writeFileSync(binary, await fetchProgram(fleet), { mode: 0o755 });
  } catch (error) {
    close();
    throw error;
  }

  const same = async (): Promise<string[]> => objections(await run('apply'), { ok: true, changed: false });
  const back = async (): Promise<string[]> => objections(await run('apply'), { ok: true, changed: true });
  const changed = async (): Promise<string[]> => {
    const cwd = join(folder, 'changed');
    for (const part of ['environments', 'configs']) cpSync(join(here, part), join(cwd, part), { recursive: true });
    for (const file of touched) appendFileSync(join(cwd, 'configs', file), `# A drill, ${new Date().toISOString()}\n`);
    const there = objections(await run('apply', cwd), { ok: true, changed: true });
    return [...there, ...(await back())];
  };
  const bad = async (): Promise<string[]> => {
    const file = join(folder, 'broken');
    // Each time another one: a release that failed before is refused without a try.
    writeFileSync(file, `${broken}# ${new Date().toISOString()}\n`, { mode: 0o755 });
    const refused = await run('apply', here, file);
    const left = objections(await run('plan'), { ok: true, changed: false });
    return [
      ...objections(refused, { ok: false, changed: false }),
      ...left.map((each) => `after the bad release: ${each}`),
    ];
  };
  return {
    async prove() {
      const plan = await run('plan');
      if (plan.code !== 0)
        throw new FiredrillError({
          code: 'remote',
          what: `the plan of what is checked out failed: ${plan.tail}`,
          fix: 'Mend that first; a rollout with the mode plan shows the same',
        });
      if (plan.changed === 'false') return;
      throw new FiredrillError({
        code: 'config',
        what: 'what is checked out is not what is deployed: a rollout would change something',
        fix: 'Deploy it first; a drill deploys nothing new. One that was killed in rollout-under-load leaves comments in the configuration, which a deploy takes away',
      });
    },
    roll: (release) => ({ same, changed, bad })[release](),
    close,
  };
}

/** What is wrong with the end of a rollout. Pure. */
export function objections(
  { code, changed, bad, tail }: Rollout,
  wanted: { readonly ok: boolean; readonly changed: boolean },
): string[] {
  if (wanted.ok && code !== 0) return [`the rollout failed: ${tail}`];
  if (!wanted.ok && code === 0) return ['the rollout of a bad release passed'];
  if (!wanted.ok && !bad.includes('"node"')) return [`the rollout failed for another reason than its release: ${tail}`];
  if (wanted.ok && changed !== String(wanted.changed))
    return [wanted.changed ? 'the rollout changed nothing' : 'the rollout changed something'];
  return [];
}

async function fetchProgram(fleet: Fleet): Promise<Buffer> {
  const [node] = fleetNodes(fleet, 'app');
  const result = await node?.ssh.exec(`sudo -n base64 -w0 /${program}`, { timeoutMs: 30_000 });
  if (result?.code === 0 && result.stdout !== '') return Buffer.from(result.stdout, 'base64');
  throw new FiredrillError({
    code: 'remote',
    ...(node === undefined ? {} : { node: node.name }),
    what: `/${program} can't be read there: ${result?.stderr.trim() ?? 'no node has it'}`,
    fix: 'Deploy first; a drill rolls out the program that is there',
  });
}

/** Runs the rollout's bundle, with its inputs as a workflow gives them. */
async function rollout(
  { environment, fleetSecret, linodeToken, alertSecret, watchdogUrl }: DrillInputs,
  {
    bundle,
    mode,
    binary,
    cwd,
    output,
  }: Record<'bundle' | 'binary' | 'cwd' | 'output', string> & { mode: 'plan' | 'apply' },
  signal: AbortSignal,
): Promise<Rollout> {
  writeFileSync(output, '');
  const env = {
    PATH: process.env.PATH ?? '',
    GITHUB_OUTPUT: output,
    // Who is at work, for whom finds the nodes leased.
    ...(process.env.GITHUB_RUN_ID === undefined ? {} : { GITHUB_RUN_ID: process.env.GITHUB_RUN_ID }),
    INPUT_ENVIRONMENT: environment,
    'INPUT_LINODE-TOKEN': linodeToken.reveal(),
    INPUT_SECRET: fleetSecret.reveal(),
    'INPUT_ALERT-SECRET': alertSecret?.reveal() ?? '',
    'INPUT_WATCHDOG-URL': watchdogUrl?.reveal() ?? '',
    INPUT_BINARY: binary,
    INPUT_MODE: mode,
  };
  const child = spawn(process.execPath, [bundle], { cwd, env, stdio: ['ignore', 'pipe', 'inherit'] });
  const lines: string[] = [];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    lines.push(...text.split('\n').filter((line) => line.trim() !== ''));
    lines.splice(0, lines.length - 40);
  });
  // It goes on to where it may end, as after a workflow's cancellation.
  const end = () => child.kill('SIGTERM');
  signal.addEventListener('abort', end, { once: true });
  const timer = setTimeout(end, timeoutMs);
  try {
    const code = await new Promise<number | null>((done, fail) => child.once('error', fail).once('close', done));
    const said = readFileSync(output, 'utf8');
    const errors = lines.filter((line) => line.startsWith('::error')).map((line) => line.replace(/^::error.*?::/, ''));
    return { code, changed: outputOf(said, 'changed'), bad: outputOf(said, 'bad'), tail: errors.slice(-2).join('; ') };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', end);
  }
}

/** One of the outputs in a GITHUB_OUTPUT file: `NAME<<MARK`, lines, `MARK`. Pure. */
export function outputOf(text: string, name: string): string {
  const lines = text.split('\n');
  const at = lines.findIndex((line) => line.startsWith(`${name}<<`));
  if (at === -1) return '';
  const mark = lines[at]?.slice(name.length + 2);
  return lines.slice(at + 1, lines.indexOf(mark ?? '', at + 1)).join('\n');
}
