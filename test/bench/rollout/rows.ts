import { type Comparison, rowOf, type ShownRow } from '../report.ts';
import { median, medianOf } from '../statistics.ts';
import type { CaseName, Pair } from './compare.ts';
import { counts, type PlanCost } from './hosts.ts';
import type { Measured } from './measured.ts';
import { type Exchange, roundTripMs } from './trips.ts';

/** How much faster than Ansible each case has to be; null where it is only shown. */
const goals: Readonly<Record<CaseName, number | null>> = {
  'one role': null,
  'every node, one at a time': 15,
  'nothing to change': 40,
};

/** What the table compares, for whoever reads it. Pure. */
export function explanation(rounds: number): string {
  return [
    `Medians of ${rounds} rounds, ours and Ansible's in turns on the same machines; a time is a whole process, from its start to its end,`,
    'without the time that it waited in gates (ours: from the first good look on, and while a node watches its units; Ansible: retries).',
    'Both bring the same rendered files with the same checkers, reload or restart the same units and ask the same local health.',
    'Ours, besides: reads what every node has, checks all files of a changed node and not only the changed ones, stages before it switches,',
    'arms the way back, looks from outside and confirms over a new connection. Ansible: ansible-core, pipelining, 50 forks, connections kept,',
    'no facts, told the one node where one role changes, and all nodes at once where nothing does.',
    `Round trips: what ${roundTripMs} ms of distance add to an exchange with a node, and one for opening each TCP connection.`,
    'Hosts are simulated: ssh servers of one process on this machine, which answer with what real nodes of the lab told.',
  ].join('\n');
}

/** The rows of what was measured. Pure. */
export function rowsOf({ pairs, trips }: Measured, plans: readonly PlanCost[] | undefined): ShownRow[] {
  return [
    ...(pairs === undefined ? [] : pairRows(pairs)),
    ...(trips === undefined ? [] : tripRows(trips)),
    ...(plans === undefined ? [] : planRows(plans)),
  ].map(rowOf);
}

function pairRows(pairs: readonly Pair[]): Comparison[] {
  return Object.keys(goals).flatMap((name): Comparison[] => {
    const of = pairs.filter((pair) => pair.case === name);
    const goal = goals[name as CaseName];
    const ours = medianOf(of, (pair) => pair.ours.ms - pair.ours.waitedMs) / 1000;
    const ansible = medianOf(of, (pair) => pair.ansible.ms - pair.ansible.waitedMs) / 1000;
    const waited = {
      ours: medianOf(of, (pair) => pair.ours.waitedMs),
      ansible: medianOf(of, (pair) => pair.ansible.waitedMs),
    };
    return [
      {
        ...{ metric: name, unit: 's', ours, peer: 'Ansible', peerValue: ansible },
        ...(goal === null ? {} : { atMost: 1 / goal }),
        note: `${(ansible / ours).toFixed(1)} times faster${goal === null ? '' : `, goal ${goal}`}`,
      },
      {
        metric: `${name}: waited in gates`,
        unit: 's',
        ours: waited.ours / 1000,
        peer: 'Ansible',
        peerValue: waited.ansible / 1000,
      },
    ];
  });
}

function tripRows(trips: readonly (readonly [Exchange, number])[]): Comparison[] {
  const once = trips.filter(([exchange]) => exchange !== 'look');
  const sum = once.reduce((total, [, count]) => total + count, 0);
  return [
    { metric: 'round trips a node, with the confirmation', unit: 'count', ours: sum, atMost: 16 },
    ...trips.map(([exchange, count]): Comparison => {
      const note = exchange === 'look' ? 'one of a gate, not in the sum' : '';
      return { metric: `round trips: ${exchange}`, unit: 'count', ours: count, note };
    }),
  ];
}

function planRows(plans: readonly PlanCost[]): Comparison[] {
  return counts.flatMap((hosts): Comparison[] => {
    const of = plans.filter((plan) => plan.hosts === hosts);
    const ms = median(of.map((plan) => plan.ms));
    const peakMb = Math.max(...of.map((plan) => plan.peakMb));
    const held = hosts === 200;
    return [
      { metric: `plan for ${hosts} simulated hosts`, unit: 's', ours: ms / 1000, ...(held ? { atMost: 6 } : {}) },
      {
        metric: `plan for ${hosts} simulated hosts, peak memory`,
        unit: 'MB',
        ours: peakMb,
        ...(held ? { atMost: 150 } : {}),
      },
      { metric: `plan for ${hosts} simulated hosts, a host`, unit: 'ms', ours: ms / hosts },
    ];
  });
}
