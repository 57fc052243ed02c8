import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { ScenarioName } from '../../actions/core/environment/schema.ts';
import { runCommand } from '../bench/command.ts';
import { countOf } from '../bench/options.ts';
import { isInside, mustBeUp, runScriptInside } from '../lab/commands/inside.ts';
import { clone, outDir } from '../lab/paths.ts';
import { sourceCommit } from '../lab/source.ts';
import { type Death, drillTime, type Killed, killDrill } from './kill.ts';
import { killedScenarios, momentsOf } from './moments.ts';

const file = `${outDir}/drill-kills.jsonl`;
const limitMs = 60_000;
/** So soon after the fault dies a drill that is aimed at. */
const aimedMs = 3000;

/** A line of the file: how long a drill takes, or what became of one that was killed. */
type Line = { readonly seed: number; readonly commit: string; readonly scenario: ScenarioName } & (
  | { readonly kind: 'time'; readonly takesMs: number }
  | ({ readonly kind: 'kill'; readonly aimed: boolean; readonly index: number; readonly share: number } & Killed)
);

const usage = `npm run bench:drill-kills        kills the drill of a kept lab (npm run lab -- up) with SIGKILL at random moments, one after the other, and
                                 looks on until the fleet is whole again, without doing anything: a line each in out/drill-kills.jsonl

--kills N                        moments (default 20)
--seed S                         of the moments (default 1); those of this seed and commit that are in the file count
--now M                          at most M more in this run
--aimed                          only within ${aimedMs / 1000} s of the fault, when most is broken and nothing was measured yet

How long a drill takes is measured first, once for each scenario. Clients go on meanwhile. Ends with 1 when a fleet was not whole within
${limitMs / 1000} s, or when an acknowledged write was lost.`;

await runCommand(
  usage,
  {
    kills: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
    now: { type: 'string', default: '1000' },
    aimed: { type: 'boolean', default: false },
  },
  ({ kills, seed, now, aimed }) => {
    const [count, most] = [countOf('--kills', kills, 1000), countOf('--now', now, 1000)];
    const seeded = countOf('--seed', seed, 2 ** 32 - 1);
    return isInside ? bench(count, seeded, most, aimed) : outside();
  },
);

function outside(): Promise<number> {
  mustBeUp();
  return runScriptInside(fileURLToPath(import.meta.url), process.argv.slice(2));
}

async function bench(kills: number, seed: number, most: number, aimed: boolean): Promise<number> {
  const commit = sourceCommit(clone).sha;
  mkdirSync(outDir, { recursive: true });
  // How long a drill takes is an estimate: any will do.
  const lines = read().filter((line) => line.kind === 'time' || (line.seed === seed && line.commit === commit));
  const add = (line: Line): void => {
    lines.push(line);
    appendFileSync(file, `${JSON.stringify(line)}\n`);
  };
  console.log(`seed ${seed}, commit ${commit.slice(0, 12)}, ${kills} kills`);
  let left = most;
  for (const [index, { scenario, share }] of momentsOf(seed, kills, killedScenarios).entries()) {
    if (ours(lines, aimed).some((line) => line.index === index)) continue;
    if (left-- === 0) break;
    const base = { seed, commit, scenario };
    const known = lines.findLast((line) => line.kind === 'time' && line.scenario === scenario);
    let takesMs = known?.kind === 'time' ? known.takesMs : await drillTime(scenario);
    if (known === undefined) add({ ...base, kind: 'time', takesMs });
    const death = (): Death =>
      aimed ? { after: 'fault', ms: share * aimedMs } : { after: 'begin', ms: share * takesMs };
    let killed = await killDrill(scenario, death(), limitMs);
    for (; killed === undefined; killed = await killDrill(scenario, death(), limitMs)) {
      takesMs = Math.round(takesMs * 0.9); // one was quicker than the one that was measured
      add({ ...base, kind: 'time', takesMs });
    }
    add({ ...base, kind: 'kill', aimed, index, share, ...killed });
    console.log(lineOf(index, scenario, takesMs, killed));
  }
  return sum(ours(lines, aimed));
}

function ours(lines: readonly Line[], aimed: boolean): (Line & { kind: 'kill' })[] {
  return lines.flatMap((line) => (line.kind === 'kill' && line.aimed === aimed ? [line] : []));
}

function lineOf(
  index: number,
  scenario: string,
  takesMs: number,
  { killedAfterMs, armed, at, clients, ...end }: Killed,
): string {
  const when = `${scenario} killed ${(killedAfterMs / 1000).toFixed(1)} s into ${(takesMs / 1000).toFixed(1)} s (${at})`;
  const promised = armed.length === 0 ? 'nothing armed' : `armed: ${armed.join(', ')}`;
  const whole = end.wholeMs === null ? `NOT WHOLE: ${end.reason}` : `whole after ${(end.wholeMs / 1000).toFixed(1)} s`;
  const seen = `${clients.failed} of ${clients.requests} requests failed, longest ${(clients.longestMs / 1000).toFixed(1)} s`;
  const wrong = clients.wrong.length === 0 ? '' : `; WRONG: ${clients.wrong.slice(0, 3).join('; ')}`;
  return `${String(index + 1).padStart(3)}  ${when}, ${promised}: ${whole}; ${seen}${wrong}`;
}

function sum(kills: readonly Killed[]): number {
  const whole = kills.map(({ wholeMs }) => wholeMs).filter((each) => each !== null);
  const most = whole.length === 0 ? '-' : (Math.max(...whole) / 1000).toFixed(1);
  const armed = kills.filter((kill) => kill.armed.length > 0).length;
  const [requests, failed] = [total(kills, 'requests'), total(kills, 'failed')];
  const wrong = kills.filter(({ clients }) => clients.wrong.length > 0).length;
  console.log(
    `\n${whole.length} of ${kills.length} whole within ${limitMs / 1000} s, at most after ${most} s; a fault was armed in ${armed}\n` +
      `${failed} of ${requests} requests of the clients failed; an acknowledged write was lost in ${wrong}`,
  );
  return whole.length === kills.length && wrong === 0 ? 0 : 1;
}

function total(kills: readonly Killed[], what: 'requests' | 'failed'): number {
  return kills.reduce((sum, { clients }) => sum + clients[what], 0);
}

function read(): Line[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.filter((line) => line.endsWith('}')).map((line) => JSON.parse(line) as Line);
}
