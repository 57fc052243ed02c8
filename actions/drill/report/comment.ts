import type { Night } from '../history/night.ts';
import { type Changed, changedSection } from './changed.ts';
import type { DrillReport, RunDetail, RunReport, ScenarioReport } from './data.ts';
import { alertPhases, gantt, longestPhase, phasesOfRun } from './phases.ts';
import { type StillRed, stillRedLine } from './still-red.ts';
import { changes, table, trendChart } from './table.ts';
import { count, ms, plain, plural, sum } from './text.ts';

/** GitHub takes no more (characters). */
export const commentLimit = 65_536;

/** Finds the environment's comment again. It is the first line of the comment. */
export function markerOf(environment: string): string {
  return `<!-- firedrill:report environment=${environment} -->`;
}

export interface CommentContext {
  /** The page of this workflow run; undefined elsewhere. */
  readonly runUrl: string | undefined;
  readonly requestTimeoutMs: number;
  /** The drills before this one, in the order of time. */
  readonly history: readonly Night[];
  /** Undefined: nobody can tell, or there was no drill before. */
  readonly changed: Changed | undefined;
  /** What was red when it was drilled last, and was not drilled now. */
  readonly stillRed: readonly StillRed[];
}

/** The whole report as Markdown, without the marker: the job summary. Pure. */
export function summaryOf(report: DrillReport, context: CommentContext): string {
  return `${[...essentials(report, context), ...details(report), ...footer(report, context)].join('\n\n')}\n`;
}

/** The same with the marker, within the limit: what does not fit goes, the last details first, with a pointer to the whole. Pure. */
export function commentOf(report: DrillReport, context: CommentContext, limit = commentLimit): string {
  const parts = [markerOf(report.environment), ...essentials(report, context), ...details(report)];
  const whole = [...parts, ...footer(report, context)].join('\n\n');
  if (whole.length < limit) return `${whole}\n`;
  const pointer = leftOut(context);
  return `${[...fitting(parts, limit - pointer.length - 3), pointer].join('\n\n')}\n`;
}

/** The parts that fit one after the other; of the first that doesn't, the lines that do, unless half of it would be broken Markdown. */
function fitting(parts: readonly string[], limit: number): string[] {
  const kept: string[] = [];
  let left = limit;
  for (const part of parts) {
    if (part.length + 2 <= left) {
      kept.push(part);
      left -= part.length + 2;
      continue;
    }
    const some = part.slice(0, Math.max(0, left - 2));
    const whole = some.slice(0, Math.max(0, some.lastIndexOf('\n')));
    const fenced = part.startsWith('<details>') || whole.split('```').length % 2 === 0;
    return whole === '' || fenced ? kept : [...kept, whole];
  }
  return kept;
}

function essentials(report: DrillReport, context: CommentContext): string[] {
  if (report.notStarted !== null)
    return [`## Drill of ${report.environment} FAILED: it could not start`, noDrill(report)];
  const slowest = gantt(report.scenarios);
  const trend = trendChart(report, context.history);
  return [
    `## ${verdictLine(report)}`,
    table(report.scenarios, context.history),
    ...(report.ok ? [] : [redSection(report)]),
    ...stillRedLine(context.stillRed),
    ...changes(report.scenarios, context.history),
    ...(context.changed === undefined ? [] : [changedSection(context.changed)]),
    ...(slowest === undefined ? [] : ['### The slowest recovery', slowest]),
    ...(trend === undefined ? [] : ['### The nights before', trend]),
    ...measured(report, context),
  ];
}

function noDrill(report: DrillReport): string {
  const reason = plain(report.notStarted ?? '');
  return `${reason}\n\n${commitOf(report)}, tried ${report.startedAt}. Nothing was measured: whether the fleet would recover is unknown.`;
}

function verdictLine({ environment, ok, scenarios }: DrillReport): string {
  const passed = scenarios.filter((scenario) => scenario.ok).length;
  const runs = scenarios.flatMap((scenario) => scenario.runs);
  const acked = sum(runs, (run) => run.ackedWrites);
  const lost = sum(runs, (run) => run.lostWrites);
  const head = ok ? 'passed' : 'FAILED';
  const writes =
    acked === 0 ? 'no write was measured' : `${count(lost)} of ${plural(acked, 'acknowledged write')} lost`;
  return `Drill of ${environment} ${head}: ${passed} of ${plural(scenarios.length, 'scenario')} green, ${writes}`;
}

const shownReasons = 3;

function redSection(report: DrillReport): string {
  const red = report.scenarios.filter((scenario) => !scenario.ok);
  const again = red.map((scenario) => scenario.name).join(' ');
  const lost = sum(
    red.flatMap((scenario) => scenario.runs),
    (run) => run.lostWrites,
  );
  const split = red.some(({ runs }) =>
    runs.some(({ detail }) => detail?.proofs.some((proof) => proof.startsWith('split brain: '))),
  );
  const checkout = report.commit === null ? [] : [`   git checkout ${report.commit.slice(0, 12)}`];
  return [
    '### What is red, and what to do',
    '',
    ...red.flatMap(redLines),
    '',
    ...(lost === 0 ? [] : ['**Acknowledged writes were lost: deploy nothing before it is understood.**', '']),
    ...(split ? ['**Two primaries acknowledged at the same time: deploy nothing before it is understood.**', ''] : []),
    "1. Is the fleet whole? After a run that was measured it was proved steady. Else, on the node that was broken: `sudo systemctl list-units --all 'firedrill-heal*'` lists nothing when it is healed; a fault that is still armed undoes itself.",
    "2. See it again in the lab, on any Debian machine (the budgets there are the lab's):",
    '   ```sh',
    ...checkout,
    '   sudo npm run lab -- up',
    `   sudo npm run lab -- drill ${again} --repeat 5`,
    '   ```',
    '3. Whose time was it? Until agreed: `sentinel.downAfterMs`; until promoted: the Sentinels; after that: the service and its replicas.',
    '4. Revert what changed when it is the cause; raise a budget only with a reason in the commit.',
  ].join('\n');
}

function redLines({ name, runs, budgetMs }: ScenarioReport): string[] {
  const red = runs.filter((run) => !run.ok);
  const lines = red.slice(0, shownReasons).map((run) => {
    const phase = (run.recoveryMs ?? 0) > budgetMs ? longestPhase(run) : undefined;
    const longest = phase === undefined ? '' : ` (longest: until ${phase.name}, ${ms(phase.tookMs)})`;
    return `- **${name}**: ${plain(run.reason ?? 'not measured')}${longest}`;
  });
  const more = red.length - lines.length;
  return more > 0 ? [...lines, `- **${name}**: ${plural(more, 'more run')} of ${runs.length} red, see below`] : lines;
}

/** One line that all may need, what nobody may miss, and the rest folded. */
function measured(report: DrillReport, context: CommentContext): string[] {
  const runs = report.scenarios.flatMap((scenario) => scenario.runs);
  const known = runs.flatMap((run) => (run.detail === null ? [] : [run.detail]));
  const first = known[0];
  const times = [report.startedAt, report.finishedAt].map((time) => time.slice(0, 16).replace('T', ' '));
  const when = `${commitOf(report)}, drilled ${times.join(' to ')} UTC`;
  if (first === undefined) return [`${when}. Nothing was measured.`];
  const late = Math.max(...known.map((detail) => detail.probe.lagMaxMs));
  const p99 = Math.max(...known.map((detail) => detail.probe.lagP99Ms));
  const unsure = Math.max(...known.map((detail) => detail.uncertaintyMs));
  const how = [
    `Load: ${first.probe.requestsPerS} requests/s through the load balancer, half of them writes, arriving by the clock whatever the answers did; deadline ${ms(context.requestTimeoutMs)}.`,
    'Recovery is from the fault to the last client that is served again; where nobody can serve before the fault ends, from its end; where nothing goes away, the longest answer. A stall is the longest wait for one answer. Recovery does not count a request that waited alone for up to about a second, as for a lost packet on the way.',
    `The probe itself was at most ${late} ms late (p99 ${p99} ms); the moment of the fault is known to ${unsure} ms.`,
    clocks(report),
  ].join(' ');
  return [
    `${when}, ${plural(runs.length, 'run')}.`,
    `<details><summary>How it was measured</summary>\n\n${how}\n\n</details>`,
  ];
}

function clocks({ clocks: all }: DrillReport): string {
  const worst = [...all].sort((a, b) => Math.abs(b.offsetMs) - Math.abs(a.offsetMs))[0];
  if (worst === undefined) return "The nodes' clocks were not compared.";
  const error = Math.max(...all.map((each) => each.errorMs));
  return `The nodes' clocks were at most ${Math.abs(worst.offsetMs)} ms from the runner's (${worst.node}; known to ${error} ms); no figure here is by them.`;
}

function commitOf({ commit }: DrillReport): string {
  return commit === null ? 'The deployed commit is unknown' : `Commit ${commit.slice(0, 12)}`;
}

function details(report: DrillReport): string[] {
  return report.scenarios.flatMap((scenario) =>
    scenario.runs.map((run, index) => {
      const title = scenario.runs.length === 1 ? scenario.name : `${scenario.name}, run ${index + 1}`;
      return `<details><summary>${title}: ${runLine(run)}</summary>\n\n${runDetail(run)}\n\n</details>`;
    }),
  );
}

function runLine(run: RunReport): string {
  if (run.recoveryMs === null) return 'not measured';
  if (run.recoveryMs === 0) return 'no client noticed';
  const took = ms(run.recoveryMs);
  return {
    fault: `all clients back after ${took}`,
    return: `all clients back ${took} after the fault ended`,
    stall: `longest answer ${took}`,
  }[run.detail?.recovery ?? 'fault'];
}

function runDetail(run: RunReport): string {
  const { detail } = run;
  if (detail === null) return plain(run.reason ?? 'not measured');
  const moved = detail.newPrimary === null ? 'The primary stayed.' : `The new primary is ${detail.newPrimary}.`;
  const where = detail.target === '' ? '' : `${detail.target}: `;
  const stale = detail.proofs.filter((proof) => proof.startsWith('stale: '));
  const broken = detail.proofs.filter((proof) => !stale.includes(proof));
  return [
    `${where}${detail.breaks}, at ${run.faultAt}. ${moved}`,
    '',
    ...phaseTable(run),
    `${plural(run.requests, 'request')}, ${count(run.failedRequests)} failed, of them ${plural(detail.unknownWrites, 'write')} with an unknown end;` +
      ` ${plural(run.ackedWrites, 'acknowledged write')}${byWhom(run)}, ${count(run.lostWrites)} lost; ${plural(detail.staleReads, 'stale read')}.`,
    ...(detail.failures.length === 0 ? [] : ['', `Failed: ${plain(detail.failures.join(', '))}.`]),
    ...loneLine(detail),
    ...(run.reason === null ? [] : ['', `Red: ${plain(run.reason)}.`]),
    ...proofsOf('What proves it:', broken),
    ...proofsOf('Not red for these, for what a read may show is not promised:', stale),
  ].join('\n');
}

function byWhom({ ackedWrites, detail }: RunReport): string {
  if (detail?.primaries === undefined || ackedWrites === 0) return '';
  return detail.primaries === null
    ? ' (by whom is not known: the service sends no `X-Replication-Id`)'
    : ` under ${plural(detail.primaries, 'replication ID')}`;
}

function loneLine({ lone = { requests: 0, longestMs: 0 } }: RunDetail): string[] {
  if (lone.requests === 0) return [];
  const atMost = lone.requests === 1 ? '' : 'at most ';
  return [
    '',
    `${plural(lone.requests, 'request')} waited alone, ${atMost}${ms(lone.longestMs)}: as for a lost packet on the way; not counted as a stall.`,
  ];
}

function proofsOf(what: string, proofs: readonly string[]): string[] {
  return proofs.length === 0 ? [] : ['', what, '', ...proofs.map((proof) => `- ${plain(proof)}`)];
}

function phaseTable(run: RunReport): string[] {
  const phases = [...phasesOfRun(run), ...alertPhases(run)].sort((a, b) => a.atMs - b.atMs);
  if (phases.length === 0) return [];
  const rows = phases.map(({ name, atMs }) => `| ${ms(atMs)} | ${name} |`);
  return ['| after the fault | |', '|--:|---|', ...rows, ''];
}

function footer(report: DrillReport, { runUrl }: CommentContext): string[] {
  const names = report.scenarios.map((scenario) => scenario.name).join(' ');
  const again =
    names === '' ? [] : [`The same drill in the lab, once it is up: \`sudo npm run lab -- drill ${names}\`.`];
  const where = runUrl === undefined ? [] : [`[The run](${runUrl}).`];
  const line = [...again, ...where].join(' ');
  return line === '' ? [] : [line];
}

function leftOut({ runUrl }: CommentContext): string {
  return runUrl === undefined
    ? 'The rest is too long for a comment: see out/summary.md.'
    : `The rest is too long for a comment: see [the job summary](${runUrl}).`;
}
