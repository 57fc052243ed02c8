import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { EnvironmentNode } from '../../../actions/core/environment/schema.ts';
import { FiredrillError, messageOf } from '../../../actions/core/errors.ts';
import { sshTarget } from '../../../actions/core/inventory.ts';
import { connectSsh, type Ssh } from '../../../actions/core/ssh.ts';
import { readRuns, runsOf } from '../../../actions/drill/runs/file.ts';
import { labFleet } from '../inventory.ts';
import { outDir } from '../paths.ts';
import { drill, type PipelineOptions, runsFile } from '../pipeline.ts';
import { comparison } from '../reference/compare.ts';
import { deployReference, removeReference } from '../reference/deployment.ts';
import { type Compared, measureReference, type ReferenceRun, referenceFaults } from '../reference/measure.ts';
import { cancelOnSignals } from '../runner/index.ts';

const referenceFile = `${outDir}/reference.jsonl`;

/**
 * `drill [NAME...] --against reference`: our drill, and the same faults against the settings of the document that this system comes
 * from, beside ours on the same machines. Nothing of ours is changed, so there is nothing to restore; what a killed run leaves of the
 * reference ends by itself.
 */
export async function drillAgainst(names: readonly string[], options: PipelineOptions): Promise<number> {
  const scenarios = chosen(names);
  const failed: string[] = [];
  const result = await drill(scenarios, options);
  if (result.conclusion !== 'success') failed.push(`our drill: ${result.conclusion}, see out/pull-request.md`);
  if (result.conclusion === 'cancelled')
    throw new FiredrillError({ code: 'cancelled', what: 'the drill was cancelled' });
  await measureAll(scenarios, Number(options.repeat || '1'), options.repeat !== '').catch((error: unknown) => {
    failed.push(`the reference: ${messageOf(error)}`);
  });
  const runs = readRuns(runsFile);
  const last = runs.at(-1);
  const table = comparison(scenarios, last === undefined ? [] : runsOf(runs, last), readReference());
  writeFileSync(`${outDir}/against-reference.md`, `${table}\n`);
  console.log(
    `\n${table}\n\nthe table is out/against-reference.md, the reference's runs are lines of out/reference.jsonl`,
  );
  for (const each of failed) console.error(each);
  return failed.length === 0 ? 0 : 1;
}

/** @param goOn whether the runs that the file has count */
async function measureAll(scenarios: readonly Compared[], repeat: number, goOn: boolean): Promise<void> {
  const { environment, inventory, deployKey } = await labFleet();
  const links = new Map<string, Promise<Ssh>>();
  const ssh = (node: EnvironmentNode): Promise<Ssh> => {
    const known = inventory.nodes.find((each) => each.name === node.name);
    if (known === undefined) throw new FiredrillError({ code: 'bug', what: `the inventory has no ${node.name}` });
    const link = links.get(node.name) ?? connectSsh(sshTarget(environment, known, deployKey));
    links.set(node.name, link);
    return link;
  };
  const cancellation = cancelOnSignals();
  const done = (scenario: Compared): number =>
    goOn ? readReference().filter((run) => run.scenario === scenario).length : 0;
  try {
    for (const scenario of scenarios)
      for (let count = done(scenario); count < repeat; count += 1) {
        const reference = await deployReference(environment, ssh);
        try {
          const run = await measureReference(reference, scenario, cancellation.signal);
          appendFileSync(referenceFile, `${JSON.stringify(run)}\n`);
          const back = run.backMs === null ? 'not back' : `back after ${run.backMs} ms`;
          console.log(`reference  ${scenario}  ${back}, ${run.lost} of ${run.acknowledged} acknowledged writes lost`);
        } finally {
          await removeReference(reference);
        }
      }
  } finally {
    cancellation.release();
    for (const link of links.values()) await link.then((each) => each.close()).catch(() => {});
  }
}

function readReference(): ReferenceRun[] {
  if (!existsSync(referenceFile)) return [];
  const lines = readFileSync(referenceFile, 'utf8').split('\n');
  return lines.filter((line) => line.endsWith('}')).map((line) => JSON.parse(line) as ReferenceRun);
}

function chosen(names: readonly string[]): Compared[] {
  const known = Object.keys(referenceFaults) as Compared[];
  const wrong = names.filter((name) => !known.some((each) => each === name));
  if (wrong.length === 0) return known.filter((name) => names.length === 0 || names.includes(name));
  const what = `the reference is not drilled with ${wrong.join(', ')}`;
  throw new FiredrillError({ code: 'config', what, fix: `Use some of ${known.join(', ')}` });
}
