/**
 * `npm run bench:rollout`: our rollout beside Ansible on the lab's machines, its round trips to a node, and plans for hundreds of
 * simulated hosts. Here: the lab, Ansible's package, the command line, the table; rollout/ measures.
 */
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { FiredrillError } from '../../actions/core/errors.ts';
import { down, runAll } from '../lab/commands/all.ts';
import { run } from '../lab/machines/exec.ts';
import { installMissing } from '../lab/machines/preflight.ts';
import { clone, nodeBinary, outDir, region, stateDir } from '../lab/paths.ts';
import { regionPid } from '../lab/region-client.ts';
import { sourceCommit } from '../lab/source.ts';
import { runCommand } from './command.ts';
import { countOf } from './options.ts';
import { tableOf, writeReport } from './report.ts';
import { measurePlans } from './rollout/hosts.ts';
import type { Measured } from './rollout/measured.ts';
import { explanation, rowsOf } from './rollout/rows.ts';

const usage = `npm run bench:rollout            our rollout beside Ansible: medians of 5 rounds, out/bench-rollout.json

--rounds N                       rounds beside Ansible (default 5)
--parts ansible,trips,hosts      only these

It uses the lab that is up, or brings one up (root) and removes it; Ansible is installed with apt-get when it is missing.`;

const allParts = ['ansible', 'trips', 'hosts'];

await runCommand(
  usage,
  { rounds: { type: 'string', default: '5' }, parts: { type: 'string', default: allParts.join() } },
  ({ rounds, parts }) => bench(countOf('--rounds', rounds, 50), partsOf(parts)),
);

function partsOf(text: string): string[] {
  const parts = text.split(',');
  const wrong = parts.find((part) => !allParts.includes(part));
  if (wrong === undefined) return parts;
  throw new FiredrillError({ code: 'config', what: `no part ${wrong}`, fix: `Use some of ${allParts.join()}` });
}

async function bench(rounds: number, parts: readonly string[]): Promise<number> {
  const begun = performance.now();
  const startedAt = new Date().toISOString();
  const report = `${outDir}/bench-rollout.json`;
  // No figures of an earlier run are left when this one does not finish.
  rmSync(report, { force: true });
  if (parts.includes('ansible')) await ensureAnsible();
  const wasUp = regionPid() !== undefined;
  try {
    if (!wasUp) await runAll('up', { keep: true, verbose: false, from: clone, repeat: '', against: '' });
    await run([nodeBinary, 'actions/bundle.mjs'], { cwd: clone, timeoutMs: 120_000 });
    const measured = await measureInLab(rounds, parts);
    const plans = measured.facts === undefined ? undefined : await measurePlans(measured.facts, console.log);
    const rows = rowsOf(measured, plans);
    console.log(`\n${explanation(rounds)}\n\n${tableOf(rows)}`);
    writeReport(report, { name: 'rollout', commit: sourceCommit(clone).sha, startedAt, rows });
    console.log(`npm run bench:rollout took ${((performance.now() - begun) / 1000).toFixed(0)} s`);
    return rows.some((row) => row.met === false) ? 1 : 0;
  } finally {
    if (!wasUp) await down();
  }
}

async function ensureAnsible(): Promise<void> {
  const folders = (process.env.PATH ?? '').split(':');
  const there = (tool: string): boolean => folders.some((folder) => existsSync(`${folder}/${tool}`));
  const needed = [
    { what: 'ansible-playbook', package: 'ansible-core' },
    { what: 'ssh', package: 'openssh-client' },
  ];
  const missing = needed.filter((each) => !there(each.what));
  await installMissing(
    missing.map((each) => ({ ...each, fix: `apt-get install ${each.package}` })),
    console.log,
  );
}

async function measureInLab(rounds: number, parts: readonly string[]): Promise<Measured> {
  const file = `${stateDir}/bench-rollout.json`;
  const script = `${clone}/test/bench/rollout/inside.ts`;
  mkdirSync(stateDir, { recursive: true });
  try {
    await run(
      [
        ...['nsenter', `--net=/run/netns/${region.namespace}`, 'setpriv', '--pdeathsig', 'TERM'],
        ...[nodeBinary, script, String(rounds), parts.join(), file],
      ],
      // Some 100 s a round beside Ansible on two processors.
      { cwd: clone, timeoutMs: 300_000 + rounds * 400_000, onLine: (line) => console.log(line) },
    );
    return JSON.parse(readFileSync(file, 'utf8')) as Measured;
  } finally {
    // It holds what nodes told of their files, passwords among it.
    rmSync(file, { force: true });
  }
}
