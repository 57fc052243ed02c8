import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { FiredrillError } from '../../../../actions/core/errors.ts';
import { hostNpm } from '../npm.ts';
import { command } from './command.ts';
import type { StandIn } from './index.ts';

/** actions/setup-node with the lab's own Node 24 and the host's npm; nothing is downloaded. */
export const setupNode: StandIn = {
  name: 'actions/setup-node',
  inputs: { 'node-version': '' },
  main: async (call) => {
    const wanted = call.inputs['node-version'] ?? '';
    if (!/^24(\.x)?$/.test(wanted)) {
      const what = `node-version '${wanted}': the lab has Node 24 only`;
      throw new FiredrillError({ code: 'config', what, where: call.at });
    }
    const version = await command([call.nodeBinary, '--version'], call.directories.root);
    if (!version.startsWith('v24.')) {
      throw new FiredrillError({
        code: 'config',
        what: `${call.nodeBinary} is ${version}, not Node 24`,
        where: call.at,
      });
    }
    const bin = join(call.directories.tools, 'node/bin');
    mkdirSync(bin, { recursive: true });
    symlinkSync(call.nodeBinary, join(bin, 'node'));
    const npm = hostNpm();
    if (npm === undefined) call.log('no npm on this host: steps that call it will fail');
    else {
      symlinkSync(npm.cli, join(bin, 'npm'));
      symlinkSync(join(npm.cli, '../npx-cli.js'), join(bin, 'npx'));
    }
    call.addPath(bin);
    call.log(`node ${version}${npm === undefined ? '' : `, npm of ${npm.root}`}`);
    call.output('node-version', version);
  },
};
