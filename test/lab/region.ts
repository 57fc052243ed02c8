// The lab's region: one process, in the lab's network namespace, that serves Linode's API over real machines, GitHub's API and the
// package mirror. It ends, and takes all machines down, when its standard input ends (its starter is gone, however it went), unless
// it was told `keep` before; and on SIGTERM.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { readArtifacts } from './artifacts.ts';
import { startGithubApi } from './github-api/index.ts';
import { startLinodeApi } from './linode-api/index.ts';
import { openMachines } from './machines/machines.ts';
import { serveMirror } from './machines/mirror.ts';
import { sweep } from './machines/sweep.ts';
import { clone, lab, region, repository, stateDir } from './paths.ts';
import { regionMachines } from './region-machines.ts';
import { labSecrets } from './secrets.ts';
import { changedFiles, fileOf } from './source.ts';

const log = (line: string): void => console.log(`${new Date().toISOString()} ${line}`);
const readyFile = `${stateDir}/region.ready`;
const secrets = labSecrets();
const artifacts = readArtifacts();

mkdirSync(stateDir, { recursive: true, mode: 0o700 });
const machines = regionMachines((onChange) => openMachines(lab, artifacts.image, onChange), log);
const mirror = await serveMirror(artifacts.packages, { host: region.host, port: region.mirrorPort });
const linode = await startLinodeApi({
  host: region.host,
  port: region.linodeApiPort,
  token: secrets.LINODE_TOKEN,
  stateFile: `${stateDir}/linode.json`,
  machines: machines.forLinodeApi,
  log,
});
const github = await startGithubApi({
  host: region.host,
  port: region.githubApiPort,
  token: secrets.GITHUB_TOKEN,
  repository,
  stateFile: `${stateDir}/github.json`,
  file: (sha, path) => fileOf(clone, sha, path),
  changed: (base, head) => changedFiles(clone, base, head),
  log,
});
if (linode.checked) log("Linode's API is checked against Linode's own description");
writeFileSync(readyFile, String(process.pid));

let ending = false;
async function end(why: string): Promise<void> {
  if (ending) return;
  ending = true;
  log(`ending: ${why}`);
  rmSync(readyFile, { force: true });
  await Promise.allSettled([linode.close(), github.close(), mirror.close()]);
  await machines.destroyAll();
  log('all machines are gone');
  // Whoever waits for this process sweeps too; when nobody does, nothing may stay all the same.
  await sweep(lab);
  process.exit(0);
}

let kept = false;
const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => {
  if (line === 'keep') kept = true;
});
lines.on('close', () => {
  if (kept) log('kept');
  else void end('the lab that started this region is gone');
});
process.on('SIGTERM', () => void end('SIGTERM'));
// Ctrl-C at the terminal is for the lab's command line, which then ends this process in order.
process.on('SIGINT', () => {});
process.on('SIGHUP', () => {});
