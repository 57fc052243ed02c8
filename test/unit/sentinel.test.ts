import { describe, expect, test } from 'vitest';
import { parseRedis } from '../../actions/core/redis.ts';
import { parseSentinelEvent, parseSentinelView } from '../../actions/core/sentinel.ts';

const flat = (fields: Record<string, string>) => Object.entries(fields).flat();
const replica = flat({ name: 'x', ip: '10.0.0.12', port: '6379', flags: 'slave', 'master-link-status': 'ok' });

describe("a Sentinel's view", () => {
  test('holds the primary, the replicas, the other Sentinels and the quorum', () => {
    const view = parseSentinelView(
      flat({ name: 'mymaster', ip: '10.0.0.11', port: '6379', flags: 'master', quorum: '2' }),
      [replica],
      [flat({ ip: '10.0.0.22', port: '26379', flags: 'sentinel,s_down' })],
      'OK 3 usable Sentinels. Quorum and failover authorization can be reached',
    );
    expect(view).toMatchObject({
      primary: { host: '10.0.0.11', port: 6379 },
      flags: ['master'],
      quorum: 2,
      quorumOk: true,
      replicas: [{ host: '10.0.0.12', port: 6379, flags: ['slave'], linkUp: true }],
      otherSentinels: [{ host: '10.0.0.22', port: 26379, flags: ['sentinel', 's_down'] }],
    });
  });

  test('says when the quorum is out of reach', () => {
    const view = parseSentinelView([], [], [], 'NO: NOQUORUM 1 usable Sentinels.');
    expect(view).toMatchObject({ quorumOk: false, quorumMessage: 'NO: NOQUORUM 1 usable Sentinels.' });
  });
});

describe("a Sentinel's event", () => {
  test('names what it is about', () => {
    expect(parseSentinelEvent('+sdown', 'master mymaster 10.0.0.11 6379')).toMatchObject({
      name: '+sdown',
      kind: 'master',
      host: '10.0.0.11',
      port: 6379,
    });
    const text = 'slave 10.0.0.12:6379 10.0.0.12 6379 @ mymaster 10.0.0.11 6379';
    expect(parseSentinelEvent('+promoted-slave', text)).toMatchObject({ kind: 'slave', host: '10.0.0.12' });
  });

  test('of a switch names the new primary', () => {
    const event = parseSentinelEvent('+switch-master', 'mymaster 10.0.0.11 6379 10.0.0.12 6379');
    expect(event).toMatchObject({ kind: 'master', host: '10.0.0.12', port: 6379 });
  });

  test('of another form is kept as text', () => {
    expect(parseSentinelEvent('+tilt', '#tilt mode entered')).toMatchObject({
      kind: undefined,
      text: '#tilt mode entered',
    });
  });
});

describe('INFO replication', () => {
  test('of a replica has its own offset, its link, and what it copies', () => {
    const info =
      'role:slave\r\nmaster_host:10.0.0.11\r\nmaster_port:6379\r\nmaster_link_status:down\r\nmaster_sync_read_bytes:5\r\nslave_repl_offset:77\r\nmaster_repl_offset:99\r\nconnected_slaves:0\r\n';
    expect(parseRedis(info)).toMatchObject({
      role: 'replica',
      offset: 77,
      readBytes: 5,
      follows: { address: '10.0.0.11', linkUp: false },
    });
  });
});
