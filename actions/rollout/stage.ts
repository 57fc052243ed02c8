import type { Environment } from '../core/environment/schema.ts';
import { FiredrillError, messageOf } from '../core/errors.ts';
import { progressLine } from '../core/log.ts';
import { type Fleet, type Member, nodeScript } from './fleet.ts';
import type { NodePlan } from './plan.ts';
import { bundle } from './release.ts';
import type { Release, ReleaseFile } from './release-types.ts';
import { NodeFailure, type Phase, type Reporter, type Run, runOnNode } from './remote.ts';

const scripts = [
  'apply.sh',
  'check.sh',
  'deadman.sh',
  'firedrill-revert.service',
  'lease.sh',
  'lib.sh',
  'packages.sh',
  'place.sh',
  'redis-live.sh',
  'sentinel-live.sh',
  'revert.sh',
  'sentinel-set.sh',
  'stage.sh',
  'switch.sh',
  'units.sh',
];

interface StageOptions {
  readonly environment: Environment;
  readonly fleet: Fleet;
  readonly run: Run;
  readonly reporter: Reporter;
}

/**
 * Installs what is missing, stages the releases and has the native checkers accept them, on all nodes at once. Nothing that runs has
 * changed when it returns, or when it throws: a FiredrillError with what every refusing node said, by template and line.
 */
export async function stageAll(plans: readonly NodePlan[], options: StageOptions): Promise<void> {
  const loaded = new Map(scripts.map((name) => [name, nodeScript(name)]));
  const queue = [...plans];
  const failures: FiredrillError[] = [];
  const worker = async (): Promise<void> => {
    for (let plan = queue.shift(); plan !== undefined; plan = queue.shift()) {
      const member = options.fleet.get(plan.node);
      if (member === undefined) throw new FiredrillError({ code: 'bug', what: `not connected to ${plan.node}` });
      await stage(plan, member, loaded, options).catch((error: unknown) => {
        failures.push(located(error, member, plan.release));
      });
    }
  };
  await Promise.all(Array.from({ length: options.environment.rollout.maxParallelInstalls }, worker));
  const first = failures[0];
  if (first === undefined) return;
  if (failures.length === 1) throw first;
  throw together(first, failures);
}

/** What several nodes say alike is said once, with their names. */
function together(first: FiredrillError, failures: readonly FiredrillError[]): FiredrillError {
  const groups = new Map<string, FiredrillError[]>();
  for (const failure of failures) {
    const key = `${failure.facts.where}\n${failure.facts.what}`;
    groups.set(key, [...(groups.get(key) ?? []), failure]);
  }
  const lines = [...groups.values()].map((group) => {
    const { where, what } = (group[0] ?? first).facts;
    const nodes = group
      .map((failure) => failure.facts.node)
      .sort()
      .join(', ');
    return `  ${where === undefined ? '' : `${where}, `}${nodes}: ${what.replaceAll('\n', '\n  ')}`;
  });
  return new FiredrillError({
    code: first.code,
    phase: first.facts.phase ?? 'stage',
    what: `${failures.length} nodes refuse, nothing was changed\n${lines.join('\n')}`,
    cause: first,
  });
}

async function stage(
  { release, packages }: NodePlan,
  member: Member,
  loaded: ReadonlyMap<string, Buffer>,
  { environment, run, reporter }: StageOptions,
): Promise<void> {
  // A node tells of a phase when it ends, and this one takes longest by far.
  const names = packages.flatMap(({ name, from }) => (from === undefined ? [name] : [])).join(' ');
  if (names !== '') reporter.log.info(progressLine(member.node.name, 'installing', undefined, names));
  await runOnNode(
    member,
    run,
    {
      words: ['stage', release.digest, String(run.generation), String(run.leaseMs), run.who],
      bundle: await bundle(release, loaded),
      timeoutMs: environment.rollout.installTimeoutMs,
    },
    reporter,
  );
}

/** A checker names the file and line on the node; people edit the template. */
function located(error: unknown, member: Member, release: Release): FiredrillError {
  if (!(error instanceof NodeFailure)) {
    return error instanceof FiredrillError
      ? error
      : new FiredrillError({
          code: 'remote',
          node: member.node.name,
          phase: 'stage',
          what: messageOf(error),
          cause: error,
        });
  }
  const failed = error.phases.find((phase) => !phase.ok);
  const where = failed === undefined ? undefined : templatePlace(failed, release);
  if (where === undefined) return error;
  return new FiredrillError({
    ...error.facts,
    code: 'config',
    where,
    fix: 'Nothing was changed on any node',
    cause: error,
  });
}

/** `configs/haproxy/haproxy.cfg:12`, for a phase in which a checker refused a file. Pure. */
export function templatePlace(phase: Pick<Phase, 'path' | 'detail'>, release: Release): string | undefined {
  const named = release.files.find((file) => file.path === phase.path);
  if (named?.template === undefined) return undefined;
  const found = lineOf(named, phase.detail, release) ?? { file: named, line: undefined };
  const template = found.file.template ?? named.template;
  if (found.line === undefined) return template.file;
  return `${template.file}:${template.lines[found.line - 1] ?? found.line}`;
}

function lineOf(named: ReleaseFile, detail: string, release: Release): { file: ReleaseFile; line: number } | undefined {
  for (const file of [named, ...release.files]) {
    const direct = new RegExp(`${file.path.replace(/[.+]/g, '\\$&')}:(\\d+)`).exec(detail)?.[1];
    if (direct !== undefined) return { file, line: Number(direct) };
  }
  // Redis and Sentinel quote the line; its number may count in a file that was put together from several.
  const quoted = />>> '(.*)'/.exec(detail)?.[1];
  if (quoted !== undefined) {
    for (const file of [named, ...release.files]) {
      const index = textLines(file).findIndex((line) => line.trim() === quoted.trim());
      if (index !== -1) return { file, line: index + 1 };
    }
  }
  const set = /^SENTINEL SET (.*?): /m.exec(detail)?.[1];
  for (const file of set === undefined ? [] : release.files) {
    const index = textLines(file).indexOf(set ?? '');
    if (index !== -1) return { file, line: index + 1 };
  }
  const plain = /\bline (\d+)/.exec(detail)?.[1];
  return plain === undefined ? undefined : { file: named, line: Number(plain) };
}

function textLines(file: ReleaseFile): string[] {
  return file.template === undefined ? [] : file.content.toString('utf8').split('\n');
}
