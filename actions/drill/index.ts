import * as core from '@actions/core';
import { annotate } from '../core/environment/load.ts';
import { messageOf } from '../core/errors.ts';
import { actionsLog, writeJobSummary } from '../core/log.ts';
import { readInputs } from './inputs.ts';
import { isProbeWorker, runProbeWorker } from './probe/worker.ts';
import { realDeps, run } from './run.ts';

// The probe's thread runs this same bundle.
if (isProbeWorker()) runProbeWorker();
else await main();

async function main(): Promise<void> {
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => stop.abort());
  try {
    const inputs = readInputs((name) => core.getInput(name));
    const mask = (value: string): void => core.setSecret(value);
    const deps = realDeps({
      log: actionsLog,
      env: process.env,
      signal: stop.signal,
      writeSummary: writeJobSummary,
      mask,
    });
    const result = await run(inputs, deps);
    core.setOutput('ok', String(result.report.ok));
    core.setOutput('report', result.commentUrl);
    if (result.reasons.length > 0) core.setFailed(result.reasons.join('\n'));
  } catch (error) {
    annotate(error, actionsLog);
    core.setOutput('ok', 'false');
    core.setFailed(messageOf(error));
  }
}
