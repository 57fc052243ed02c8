import { availableParallelism, tmpdir } from 'node:os';
import * as actions from '@actions/core';
import { messageOf } from '../core/errors.ts';
import { actionsLog } from '../core/log.ts';
import { readInputs } from './inputs.ts';
import { runCommand } from './make.ts';
import { run } from './run.ts';

try {
  const result = await run(
    readInputs((name) => actions.getInput(name)),
    {
      command: runCommand,
      log: actionsLog,
      tempDir: process.env.RUNNER_TEMP ?? tmpdir(),
      jobs: availableParallelism(),
      env: process.env,
    },
  );
  actions.setOutput('binary', result.binary);
  actions.setOutput('sha256', result.sha256);
  actions.setOutput('cached', result.cached);
} catch (error) {
  actions.setFailed(messageOf(error));
}
