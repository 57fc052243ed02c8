import { chmodSync, readdirSync, readFileSync } from 'node:fs';
import { renderTemplate } from '../../actions/rollout/render.ts';
import { inRoot, run, writeInRoot } from '../sandbox/inside.ts';
import { folder } from './deployment.ts';
import * as settings from './settings.ts';

const configs = new URL('../../configs/redis/', import.meta.url);

/** Runs a script of a Redis node, `firedrill-redis-NAME ARGS...`, as the node does. Gives what it says; rejects when it fails. */
export async function runNodeScript(index: number, name: string, ...args: string[]): Promise<string> {
  const home = `${folder}/node-${index}`;
  for (const file of readdirSync(configs).filter((each) => each.endsWith('.sh'))) {
    const path = file.includes('-lib.') ? `${home}/lib/${file}` : `${home}/sbin/${file.replace(/\.sh$/, '')}`;
    writeInRoot(path, readFileSync(new URL(file, configs), 'utf8'));
    chmodSync(inRoot(path), 0o755);
  }
  writeInRoot(`${home}/settings`, settingsOf(index));
  writeInRoot(`${home}/state/made`, '');
  return await run(`${home}/sbin/firedrill-redis-${name}`, [...args, `${home}/settings`]);
}

function settingsOf(index: number): string {
  const file = 'firedrill-redis-fence.conf';
  const { text } = renderTemplate(file, readFileSync(new URL(file, configs), 'utf8'), {
    node: { address: settings.redisHosts[index] },
    redis: { port: settings.redisPort, fenceTimeoutMs: 1000, handoverTimeoutMs: 5000, handoffAfterMs: 0 },
    sentinel: { masterName: settings.masterName, port: settings.sentinelPort, quorum: 2 },
    app: { durability: 'replicated' },
    secret: { redis: settings.password, sentinel: settings.password },
    nodes: {
      redis: settings.redisHosts.map((address) => ({ address })),
      sentinel: settings.sentinelHosts.map((address) => ({ address })),
    },
  });
  return text
    .replace('state /run/firedrill-redis', `state ${folder}/node-${index}/state`)
    .replace('config /etc/redis/redis.conf', `config ${folder}/redis-${settings.redisHosts[index]}/redis.conf`);
}
