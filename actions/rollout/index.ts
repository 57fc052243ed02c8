import './small-heap.ts'; // before all others
import * as actions from '@actions/core';
import { annotate } from '../core/environment/load.ts';
import { messageOf } from '../core/errors.ts';
import { linodeApi } from '../core/linode/api.ts';
import { actionsLog, writeJobSummary } from '../core/log.ts';
import { connectSsh } from '../core/ssh.ts';
import { readInputs } from './inputs.ts';
import { run } from './run.ts';

const cancelled = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => cancelled.abort());

try {
  const result = await run(
    readInputs((name) => actions.getInput(name)),
    {
      linode: linodeApi,
      connect: connectSsh,
      log: actionsLog,
      mask: (value) => actions.setSecret(value),
      summary: writeJobSummary,
      root: '',
      who: process.env.GITHUB_RUN_ID === undefined ? 'somebody' : `run-${process.env.GITHUB_RUN_ID}`,
      signal: cancelled.signal,
      onReport: (report) => {
        actions.setOutput('report', JSON.stringify(report));
        actions.setOutput('bad', JSON.stringify(report.bad));
      },
    },
  );
  actions.setOutput('changed', String(result.changed));
  if (result.status !== undefined) actions.setOutput('report', JSON.stringify(result.status));
} catch (error) {
  annotate(error, actionsLog);
  actions.setFailed(messageOf(error));
}
