import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FiredrillError } from '../../../../actions/core/errors.ts';
import { command } from './command.ts';
import type { StandIn, StandInCall } from './index.ts';

/**
 * actions/checkout from the lab's clone: a new repository that borrows the clone's objects. With a depth it is cut off like the real
 * one, so that a workflow which needs history fails here as well.
 */
export const checkout: StandIn = {
  name: 'actions/checkout',
  inputs: { ref: '', 'fetch-depth': '1', 'persist-credentials': 'true' },
  main: async (call) => {
    const { workspace } = call.directories;
    const source = call.options.sourceRepo;
    const fromSource = async (...args: string[]): Promise<string> =>
      await command(['git', '-c', 'safe.directory=*', '-C', source, ...args], source);
    const here = async (...args: string[]): Promise<string> => await command(['git', ...args], workspace);
    const wanted = call.inputs.ref || call.options.sha;
    const commit = await fromSource('rev-parse', '--verify', `${wanted}^{commit}`);
    const objects = await fromSource('rev-parse', '--path-format=absolute', '--git-path', 'objects');
    await here('init', '-q', '-b', 'main', '.');
    mkdirSync(join(workspace, '.git/objects/info'), { recursive: true });
    writeFileSync(join(workspace, '.git/objects/info/alternates'), `${objects}\n`);
    await here('remote', 'add', 'origin', String(call.github.repositoryUrl));
    if (depth(call) === 0) await copyRefs(fromSource, here);
    else await cutOff(workspace, commit, depth(call), fromSource);
    await here('config', 'gc.auto', '0');
    const branch = call.inputs.ref === '' ? branchOf(call.options.ref) : undefined;
    if (branch === undefined) await here('-c', 'advice.detachedHead=false', 'checkout', '-q', '--detach', commit);
    else await here('checkout', '-q', '-B', branch, commit);
    call.log(`${commit} ${branch === undefined ? '(detached)' : `on ${branch}`}`);
    call.output('commit', commit);
    call.output('ref', call.inputs.ref || call.options.ref);
  },
};

function depth(call: StandInCall): number {
  const value = Number(call.inputs['fetch-depth']);
  if (Number.isInteger(value) && value >= 0) return value;
  throw new FiredrillError({ code: 'config', what: `fetch-depth '${call.inputs['fetch-depth']}'`, where: call.at });
}

/** Git takes the commits named in .git/shallow for roots, whatever lies behind them in the borrowed objects. */
async function cutOff(
  workspace: string,
  commit: string,
  commits: number,
  fromSource: (...args: string[]) => Promise<string>,
): Promise<void> {
  const kept = (await fromSource('rev-list', `--max-count=${commits}`, '--first-parent', commit)).split('\n');
  writeFileSync(join(workspace, '.git/shallow'), `${kept.at(-1) ?? commit}\n`);
}

async function copyRefs(
  fromSource: (...args: string[]) => Promise<string>,
  here: (...args: string[]) => Promise<string>,
): Promise<void> {
  const refs = await fromSource('for-each-ref', '--format=%(objectname) %(refname)', 'refs/heads', 'refs/tags');
  for (const line of refs.split('\n').filter((text) => text !== '')) {
    const [object = '', name = ''] = line.split(' ');
    await here('update-ref', name.replace('refs/heads/', 'refs/remotes/origin/'), object);
  }
}

function branchOf(ref: string): string | undefined {
  return ref.startsWith('refs/heads/') ? ref.slice('refs/heads/'.length) : undefined;
}
