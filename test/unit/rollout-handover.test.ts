import { describe, expect, it } from 'vitest';
import { type Caller, type HandoverOptions, handOver } from '../../actions/rollout/handover.ts';

interface World {
  readonly options: HandoverOptions;
  /** Every command in order, `NODE COMMAND`. */
  readonly said: string[];
  paused: boolean;
}

/** A primary at offset 100 and two replicas; what `sentinel` does when it is asked to fail over is given. */
function world(onFailover: (roles: Map<string, unknown[]>) => void, lag = 0, flags = () => 'master'): World {
  const roles = new Map<string, unknown[]>([
    ['redis-1', ['master', 100, []]],
    ['redis-2', ['slave', '10.0.0.1', 6379, 'connected', 100 - lag]],
    ['redis-3', ['slave', '10.0.0.1', 6379, 'connected', 100]],
  ]);
  const said: string[] = [];
  const state: World = { said, paused: false, options: undefined as never };
  const redis = (name: string): Caller => ({
    call: async (...words) => {
      said.push(`${name} ${words.join(' ')}`);
      if (words[0] === 'ROLE') return roles.get(name);
      if (words[1] === 'PAUSE') state.paused = true;
      if (words[1] === 'UNPAUSE') state.paused = false;
      return 'OK';
    },
  });
  const node = (name: string, address: string) => ({ name, address, redis: redis(name) });
  return Object.assign(state, {
    options: {
      primary: node('redis-1', '10.0.0.1'),
      replicas: [node('redis-2', '10.0.0.2'), node('redis-3', '10.0.0.3')],
      sentinel: {
        call: async (...words: string[]) => {
          said.push(`sentinel ${words.join(' ')}`);
          if (words[1] === 'FAILOVER') onFailover(roles);
          return words[1] === 'MASTER' ? ['name', 'mymaster', 'flags', flags()] : 'OK';
        },
      },
      masterName: 'mymaster',
      port: 6379,
      timeoutMs: 300,
      pollMs: 1,
    },
  });
}

describe('a planned handover', () => {
  it('pauses writes, waits for every replica, fails over, and demotes the old primary before writes go on', async () => {
    const w = world((roles) => roles.set('redis-3', ['master', 100, []]));
    const result = await handOver(w.options);
    expect(result.to).toBe('redis-3');
    expect(w.said.filter((line) => !/redis-[23] ROLE/.test(line))).toEqual([
      'redis-1 CLIENT PAUSE 300 WRITE',
      'redis-1 ROLE',
      'sentinel SENTINEL FAILOVER mymaster',
      'redis-1 REPLICAOF 10.0.0.3 6379',
      'redis-1 CONFIG REWRITE',
      'redis-1 CLIENT UNPAUSE',
      'redis-2 REPLICAOF 10.0.0.3 6379',
      'redis-2 CONFIG REWRITE',
    ]);
  });

  it('lets writes go on, and never asks Sentinel, when a replica does not catch up', async () => {
    const w = world(() => {}, 1);
    await expect(handOver(w.options)).rejects.toThrow('every replica to have what the primary wrote');
    expect(w.said.some((line) => line.includes('FAILOVER'))).toBe(false);
    expect(w.paused).toBe(false);
  });

  it('lets writes go on once Sentinel has given up, when nobody is promoted', async () => {
    const w = world(() => {});
    await expect(handOver(w.options)).rejects.toThrow('a replica to be promoted');
    expect(w.said.indexOf('sentinel SENTINEL MASTER mymaster')).toBeGreaterThan(-1);
    expect(w.said.at(-1)).toBe('redis-1 CLIENT UNPAUSE');
  });

  it('keeps writes paused while Sentinel goes on, and demotes the old primary when the promotion comes late', async () => {
    let promoted = false;
    const promote = (roles: Map<string, unknown[]>) => {
      promoted = true;
      roles.set('redis-2', ['master', 100, []]);
    };
    const late = (roles: Map<string, unknown[]>) => void setTimeout(() => promote(roles), 350);
    const w = world(late, 0, () => (promoted ? 'master' : 'master,failover_in_progress'));
    await expect(handOver(w.options)).rejects.toThrow('a replica to be promoted');
    expect(w.said.slice(-3)).toEqual([
      'redis-1 REPLICAOF 10.0.0.2 6379',
      'redis-1 CONFIG REWRITE',
      'redis-1 CLIENT UNPAUSE',
    ]);
    expect(w.said.filter((line) => line.includes('UNPAUSE'))).toHaveLength(1);
  });
});
