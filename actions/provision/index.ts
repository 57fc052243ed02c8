import * as actions from '@actions/core';
import { annotate } from '../core/environment/load.ts';
import { messageOf } from '../core/errors.ts';
import { linodeApi } from '../core/linode/api.ts';
import { actionsLog, writeJobSummary } from '../core/log.ts';
import { connectSsh } from '../core/ssh.ts';
import { readInputs } from './inputs.ts';
import { run } from './run.ts';

try {
  const { changed, inventory } = await run(
    readInputs((name) => actions.getInput(name)),
    {
      linode: linodeApi,
      connect: connectSsh,
      log: actionsLog,
      mask: (value) => actions.setSecret(value),
      summary: writeJobSummary,
      root: '',
    },
  );
  actions.setOutput('changed', String(changed));
  actions.setOutput('inventory', inventory === undefined ? '' : JSON.stringify(inventory));
} catch (error) {
  annotate(error, actionsLog);
  actions.setFailed(messageOf(error));
}
