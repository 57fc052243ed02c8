import { readFileSync } from 'node:fs';
import { FiredrillError } from '../../actions/core/errors.ts';
import { writeArtifacts } from './artifacts.ts';
import { ensureBuildRoot } from './machines/build-root.ts';
import { ensureImage } from './machines/image.ts';
import { raiseLimits } from './machines/limits.ts';
import { upNetwork } from './machines/network.ts';
import { ensureReady } from './machines/preflight.ts';
import { sweep } from './machines/sweep.ts';
import { cacheDir, clone, lab } from './paths.ts';
import { regionOwner } from './region-client.ts';
import { labSecrets } from './secrets.ts';

/** Throws when another clone's lab is up: its names and addresses are the machine's, so there is room for one. */
export function mustBeFree(): void {
  const owner = regionOwner();
  if (owner === undefined || owner === clone) return;
  throw new FiredrillError({
    code: 'lease',
    what: `the lab of ${owner} is up on this machine`,
    fix: `Run there: npm run lab -- down`,
  });
}

/** All that a region needs before it can start: host tools, image, packages, build root, network. What a killed lab left is removed. */
export async function prepare(log: (line: string) => void = console.log): Promise<void> {
  mustBeFree();
  await ensureReady(lab, log);
  const left = await sweep(lab);
  if (left.length > 0) log(`an earlier lab ended without cleaning up; removed: ${left.join(', ')}`);
  // One after the other: both are bound by the processor, and side by side they only wait for each other.
  const image = await ensureImage(cacheDir, log);
  const buildRoot = await ensureBuildRoot(cacheDir, packagesOf(clone), log);
  labSecrets();
  raiseLimits(lab);
  await upNetwork(lab);
  writeArtifacts({ image: image.root, packages: image.packages, buildRoot });
}

/** The packages that a clone's `c-app/` needs, to be built and tested if `files` is not given: its lists, one package a line. */
export function packagesOf(folder: string, files: readonly string[] = ['build-deps.txt', 'test-deps.txt']): string[] {
  return files
    .flatMap((file) => readFileSync(`${folder}/c-app/${file}`, 'utf8').split('\n'))
    .map((line) => line.replace(/#.*/, '').trim())
    .filter((line) => line !== '');
}
