import { percentiles } from '../../../actions/drill/report/data.ts';
import { count, sum } from '../../../actions/drill/report/text.ts';
import type { KeptRun } from '../../../actions/drill/runs/file.ts';
import { type Compared, patienceMs, type ReferenceRun } from './measure.ts';

/** Both, side by side, as a Markdown table: what they are compared by, and how often each ran. Pure. */
export function comparison(
  scenarios: readonly Compared[],
  ours: readonly KeptRun[],
  reference: readonly ReferenceRun[],
): string {
  const head =
    '| fault | ours: back p50 (max) | lost | runs | reference: back p50 (max) | lost | runs | ours is faster |';
  const rows = scenarios.map((scenario) => {
    const own = ours.filter((run) => run.scenario === scenario).map(({ run }) => run);
    const theirs = reference.filter((run) => run.scenario === scenario);
    const times = own.map((run) => run.recoveryMs);
    const back = theirs.map((run) => run.backMs);
    const cells = [
      scenario,
      figures(times),
      `${count(sum(own, (run) => run.lostWrites))} of ${count(sum(own, (run) => run.ackedWrites))}`,
      own.length,
      figures(back),
      `${count(sum(theirs, (run) => run.lost))} of ${count(sum(theirs, (run) => run.acknowledged))}`,
      theirs.length,
      faster(times, back),
    ];
    return `| ${cells.join(' | ')} |`;
  });
  return [head, '|---|--:|--:|--:|--:|--:|--:|--:|', ...rows].join('\n');
}

function figures(times: readonly (number | null)[]): string {
  const measured = times.filter((ms) => ms !== null);
  const never = times.length - measured.length;
  if (times.length === 0) return 'not run';
  const missing = `not back within ${patienceMs / 1000} s`;
  if (measured.length === 0) return missing;
  const { p50, max } = percentiles(measured);
  return `${count(p50 ?? 0)} (${count(max ?? 0)}) ms${never === 0 ? '' : `, ${never} x ${missing}`}`;
}

/** By the medians; by the time that was waited at least when the reference never came back. */
function faster(ours: readonly (number | null)[], reference: readonly (number | null)[]): string {
  const own = percentiles(ours.map((ms) => ms ?? patienceMs)).p50;
  const theirs = percentiles(reference.map((ms) => ms ?? Number.POSITIVE_INFINITY)).p50;
  if (own === null || theirs === null) return '-';
  if (theirs === Number.POSITIVE_INFINITY) return `more than ${times(patienceMs, own)} times`;
  return `${times(theirs, own)} times`;
}

function times(slow: number, fast: number): string {
  return (Math.floor((slow / Math.max(1, fast)) * 10) / 10).toLocaleString('en-US');
}
