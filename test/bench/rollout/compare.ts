import type { RolloutReport } from '../../../actions/rollout/report.ts';
import type { LabFleet } from '../../lab/inventory.ts';
import { type AnsibleRun, disconnect, play, writeProject } from './ansible.ts';
import { inOrder, releasesOf } from './fleet.ts';
import { everyNode, type OurRun, oneRole, rollOut, writeRepository } from './ours.ts';

export type CaseName = 'one role' | 'every node, one at a time' | 'nothing to change';

/** One case's runs, a pair a round. */
export interface Pair {
  readonly case: CaseName;
  readonly ours: OurRun;
  readonly ansible: AnsibleRun;
}

/** Each round writes another value. */
const edits = { 'one role': oneRole, 'every node, one at a time': everyNode } as const;

/** Where Ansible's project is. */
export function projectFolder(scratch: string): string {
  return `${scratch}/ansible`;
}

/** Runs the cases in turns, ours and Ansible's after one another, `rounds` times; then the fleet has its own release again. */
export async function compare(
  fleet: LabFleet,
  scratch: string,
  rounds: number,
  log: (line: string) => void,
): Promise<Pair[]> {
  const pairs: Pair[] = [];
  const plain = `${scratch}/plain`;
  const edited = `${scratch}/edited`;
  let versions = 0;

  const project = (repository: string, releases = releasesOf(repository)) =>
    writeProject(projectFolder(scratch), fleet.environment, fleet.inventory, releases, fleet.deployKey.reveal());

  const changed = async (name: keyof typeof edits): Promise<Pair> => {
    writeRepository(edited, edits[name], versions++);
    const ours = await rollOut(edited, fleet.environment);
    writeRepository(edited, edits[name], versions++);
    // Ansible is told which nodes: it would ask the others for nothing.
    const due = changedNodes(ours.report);
    const releases = releasesOf(edited).filter((release) => due.includes(release.node));
    const site = project(edited, inOrder(releases, orderOf(ours.report)));
    const ansible = await play(site, 'site.json');
    const nodes = due.length;
    // The file and its handler, on each node.
    if (nodes === 0 || ansible.changed !== nodes * 2)
      throw new Error(`${name}: ours changed ${nodes} nodes, Ansible ${ansible.changed} things there`);
    return { case: name, ours, ansible };
  };

  const nothing = async (): Promise<Pair> => {
    const ours = await rollOut(plain, fleet.environment);
    const ansible = await play(project(plain), 'all.json');
    if (ours.report.changed || ansible.changed > 0) throw new Error('there was something to change');
    return { case: 'nothing to change', ours, ansible };
  };

  writeRepository(plain);
  log('  preparing: the release of this work tree, and what Ansible needs on the nodes');
  const first = project(plain);
  await play(first, 'prepare.json');
  try {
    for (let round = 1; round <= rounds; round += 1) {
      await rollOut(plain, fleet.environment);
      for (const work of [nothing, () => changed('one role'), () => changed('every node, one at a time')]) {
        const pair = await work();
        pairs.push(pair);
        log(
          `  round ${round} of ${rounds}, ${pair.case}: ours ${seconds(pair.ours)}, Ansible ${seconds(pair.ansible)}`,
        );
      }
    }
  } finally {
    disconnect(first);
    await rollOut(plain, fleet.environment);
  }
  return pairs;
}

function changedNodes(report: RolloutReport): string[] {
  return report.nodes.filter((node) => node.action !== 'nothing').map((node) => node.node);
}

/** The nodes by when their switch ended; those that were not changed come last. Pure. */
export function orderOf(report: Pick<RolloutReport, 'nodes'>): string[] {
  const at = (node: RolloutReport['nodes'][number]): number =>
    node.phases.find((phase) => phase.phase === 'switch')?.endMs ?? Number.MAX_SAFE_INTEGER;
  return report.nodes.toSorted((a, b) => at(a) - at(b)).map((node) => node.node);
}

function seconds({ ms, waitedMs }: { readonly ms: number; readonly waitedMs: number }): string {
  return `${((ms - waitedMs) / 1000).toFixed(2)} s and ${(waitedMs / 1000).toFixed(2)} s of waiting`;
}
