import { FiredrillError } from '../../../actions/core/errors.ts';
import { sweep } from '../machines/sweep.ts';
import { lab } from '../paths.ts';
import { deploy, drill, mustSucceed, type PipelineOptions } from '../pipeline.ts';
import { mustBeFree, prepare } from '../prepare.ts';
import { regionPid, startRegion, stopRegion } from '../region-client.ts';
import { isInside, runInside } from './inside.ts';

/** What of the pipeline to run: all of it, or only what brings a fleet up. */
type Command = 'all' | 'up';

/** `npm run lab`: everything, once; `up`: the same without the drill. A fleet that was kept before is used, and stays. */
export async function runAll(command: Command, options: PipelineOptions & { readonly keep: boolean }): Promise<number> {
  if (isInside) return await pipeline(command, options);
  const started = performance.now();
  const wasUp = regionPid() !== undefined;
  if (!wasUp) await prepare();
  const region = wasUp ? undefined : await startRegion();
  try {
    const code = await runInside([command], options);
    if (options.keep) region?.keep();
    return code;
  } finally {
    if (!wasUp && !options.keep) await down();
    console.log(`npm run lab took ${((performance.now() - started) / 1000).toFixed(0)} s`);
  }
}

/** `down`: nothing is left outside the clone and the cache. */
export async function down(): Promise<number> {
  mustBeFree();
  await stopRegion();
  const removed = await sweep(lab);
  console.log(removed.length === 0 ? 'the lab is down' : `the lab is down; swept away: ${removed.join(', ')}`);
  return 0;
}

async function pipeline(command: Command, options: PipelineOptions): Promise<number> {
  mustSucceed(await deploy(options));
  if (command === 'up') return 0;
  const result = await drill([], options);
  console.log('the report is out/pull-request.md, the figures are out/drill.json');
  if (result.conclusion === 'cancelled')
    throw new FiredrillError({ code: 'cancelled', what: 'the drill was cancelled' });
  mustSucceed(result);
  return 0;
}
