import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { FiredrillError, messageOf } from '../../actions/core/errors.ts';
import { down, runAll } from './commands/all.ts';
import { drillKept, planKept, rollbackKept, rolloutKept, sshKept, statusKept } from './commands/kept.ts';
import { clone } from './paths.ts';
import type { PipelineOptions } from './pipeline.ts';

const usage = `npm run lab                      boots the fleet, deploys this commit, drills it, removes everything; results in out/
npm run lab -- --keep            the same, and leaves the fleet up
npm run lab -- up                boots the fleet and deploys this commit without a drill, and leaves the fleet up
npm run lab -- --verbose         prints all that the steps print (always in out/logs/), not only their progress

With a kept fleet:
npm run lab -- status            every node: roles, units, who is primary, lag, what HAProxy thinks
npm run lab -- plan              what a rollout of this work tree would change
npm run lab -- rollout           rolls this work tree out; --force tries again what failed before
npm run lab -- rollback          back to before the last rollout
npm run lab -- drill [NAME...]   drill.yml with these scenarios; 'all' for every one
      --repeat N                 until each has run N times; goes on with what out/drill.jsonl has of the deployed commit
      --against reference        the document's settings beside ours: kill, hang, partition; or those named
npm run lab -- ssh NODE [CMD]    a shell on a node, or a command
npm run lab -- down              removes everything

--from FOLDER                    deploys, rolls out and drills the git clone FOLDER instead of this one`;

try {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      keep: { type: 'boolean', default: false },
      verbose: { type: 'boolean', default: false },
      force: { type: 'boolean', default: false },
      against: { type: 'string', default: '' },
      repeat: { type: 'string', default: '' },
      from: { type: 'string', default: clone },
      help: { type: 'boolean', default: false },
    },
  });
  process.exitCode = values.help ? help() : await dispatch(positionals, { ...values, from: resolve(values.from) });
} catch (error) {
  console.error(messageOf(error));
  if (!(error instanceof FiredrillError) || error.code === 'bug') console.error((error as Error).stack);
  process.exitCode = 1;
}

async function dispatch(
  words: readonly string[],
  options: PipelineOptions & { readonly keep: boolean; readonly force: boolean },
): Promise<number> {
  const [command = 'all', ...rest] = words;
  switch (command) {
    case 'all':
      return await runAll('all', options);
    case 'up':
      return await runAll('up', { ...options, keep: true });
    case 'down':
      return await down();
    case 'drill':
      return await drillKept(rest, options);
    case 'rollout':
      return await rolloutKept(options);
    case 'rollback':
      return await rollbackKept(options);
    case 'plan':
      return await planKept(options);
    case 'status':
      return await statusKept(options);
    case 'ssh':
      return await sshKept(rest, options);
    default:
      console.error(`unknown command ${command}\n\n${usage}`);
      return 2;
  }
}

function help(): number {
  console.log(usage);
  return 0;
}
