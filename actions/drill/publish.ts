import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Environment } from '../core/environment/schema.ts';
import { messageOf } from '../core/errors.ts';
import { type Github, isForbidden } from '../core/github.ts';
import type { Log } from '../core/log.ts';
import { type Night, nightOf } from './history/night.ts';
import { appendNight, readHistory } from './history/store.ts';
import type { DrillInputs } from './inputs.ts';
import { changedSince } from './report/changed.ts';
import { type CommentContext, commentOf, summaryOf } from './report/comment.ts';
import { type DrillReport, reasonsOf } from './report/data.ts';
import { postComment } from './report/post.ts';
import { stillRedOf } from './report/still-red.ts';
import type { DrillDeps, DrillResult } from './run.ts';

export interface Destination {
  readonly inputs: DrillInputs;
  readonly deps: DrillDeps;
  readonly github: Github | undefined;
}

/**
 * Files first, then the summary, then GitHub: what fails later leaves what came before.
 * @param night what the history gets of it: this drill's own runs
 */
export async function publish(
  report: DrillReport,
  night: DrillReport,
  environment: Environment,
  { inputs, deps, github }: Destination,
): Promise<DrillResult> {
  // A drill that goes on with what it measured before must not be compared with that.
  const history = (await nightsBefore(github, environment.name, deps.log)).filter(({ at }) => at < report.startedAt);
  const stillRed = stillRedOf(report, history);
  const context: CommentContext = {
    runUrl: runUrlOf(deps.env),
    requestTimeoutMs: environment.drill.requestTimeoutMs,
    history,
    changed: await changed(report, history, github, deps.log),
    stillRed,
  };
  const comment = commentOf(report, context);
  const summary = summaryOf(report, context);
  mkdirSync(inputs.out, { recursive: true });
  writeFileSync(join(inputs.out, 'drill.json'), `${JSON.stringify(report, undefined, 2)}\n`);
  writeFileSync(join(inputs.out, 'pull-request.md'), comment);
  writeFileSync(join(inputs.out, 'summary.md'), summary);
  await deps.writeSummary(summary);

  const reasons = reasonsOf(report);
  if (github !== undefined) await keep(night, github, deps);
  if (github === undefined || report.commit === null) {
    const why = github === undefined ? 'no github-token was given' : 'the deployed commit is unknown';
    deps.log.warning(`Nothing was posted: ${why}. The report is in ${inputs.out}/`);
    return { report, reasons, commentUrl: '' };
  }
  try {
    const ok = report.ok && stillRed.length === 0;
    const commentUrl = await postComment(github, { environment: report.environment, ok }, report.commit, comment);
    deps.log.info(`Posted: ${commentUrl}`);
    return { report, reasons, commentUrl };
  } catch (error) {
    if (isForbidden(error)) {
      deps.log.warning(
        `The report is in the job summary and in ${inputs.out}/, for it may not be posted: ${messageOf(error)}`,
      );
      return { report, reasons, commentUrl: '' };
    }
    return { report, reasons: [...reasons, `the report was not posted: ${messageOf(error)}`], commentUrl: '' };
  }
}

/** None when they can't be read: the drill counts without them. */
async function nightsBefore(github: Github | undefined, environment: string, log: Log): Promise<Night[]> {
  if (github === undefined) return [];
  return await readHistory(github, environment).catch((error: unknown) => {
    log.warning(`The history can't be read: ${messageOf(error)}`);
    return [];
  });
}

async function changed(
  { environment, commit }: DrillReport,
  history: readonly Night[],
  github: Github | undefined,
  log: Log,
) {
  if (github === undefined || commit === null) return undefined;
  return await changedSince(github, history, environment, commit, log);
}

async function keep(report: DrillReport, github: Github, { env, log }: DrillDeps): Promise<void> {
  const commit = report.commit ?? env.GITHUB_SHA;
  if (report.scenarios.length === 0 || commit === undefined) return;
  const run = [env.GITHUB_RUN_ID ?? '', env.GITHUB_RUN_ATTEMPT ?? ''].join('.');
  await appendNight(github, nightOf(report, run), commit).catch((error: unknown) =>
    log.warning(`This drill is not in the history: ${messageOf(error)}`),
  );
}

function runUrlOf(env: DrillDeps['env']): string | undefined {
  const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: repository, GITHUB_RUN_ID: id } = env;
  return server && repository && id ? `${server}/${repository}/actions/runs/${id}` : undefined;
}
