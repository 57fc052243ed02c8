import { expect, test } from 'vitest';
import { FiredrillError } from '../../actions/core/errors.ts';
import { parseHaproxyStat, readHaproxy } from '../../actions/core/haproxy.ts';
import type { Release } from '../../actions/rollout/release-types.ts';
import { releaseOf } from './rollout-fixture.ts';

const csv = `# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis,status,weight,act,bck,chkfail,chkdown,lastchg,downtime,qlimit,pid,iid,sid,throttle,lbtot,tracked,type,rate,rate_lim,rate_max,check_status,
http,FRONTEND,,,3,9,10000,120,1,2,0,0,0,,,,,OPEN,,,,,,,,,1,2,0,,,,0,3,0,9,,
app,app-1,0,0,2,5,,60,1,2,,0,,0,0,0,0,UP,1,1,0,0,0,9,0,,1,3,1,,60,,2,1,,5,L7OK,
app,app-2,1,4,0,5,,60,1,2,,0,,0,0,0,0,DOWN,1,1,0,2,1,3,3,,1,3,2,,60,,2,1,,5,L4CON,
app,BACKEND,0,0,2,9,1000,120,1,2,0,0,,0,0,0,0,UP,1,1,0,,0,9,0,,1,3,0,,120,,1,3,,9,,
`;

const answering = (stdout: string, code = 0, stderr = '') => ({
  node: 'lb-1',
  exec: async () => ({ code, stdout, stderr }),
});

test('the statistics tell of each server, and not of the sums', () => {
  expect(parseHaproxyStat(csv)).toEqual([
    { backend: 'app', server: 'app-1', status: 'UP', check: 'L7OK', sessions: 2, queue: 0 },
    { backend: 'app', server: 'app-2', status: 'DOWN', check: 'L4CON', sessions: 0, queue: 1 },
  ]);
});

test('a socket that does not answer is an error that names the node', async () => {
  await expect(readHaproxy(answering(csv), 1000)).resolves.toHaveLength(2);
  const error = await readHaproxy(answering('', 1, 'No such file'), 1000).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(FiredrillError);
  expect(String(error)).toContain('lb-1');
  expect(String(error)).toContain('No such file');
  await expect(readHaproxy(answering('Permission denied'), 1000)).rejects.toThrow('Permission denied');
});

test('a request gets an id when it has none, and is sent again only where that id makes it safe', () => {
  const lines = text(releaseOf('lb-1'))
    .split('\n')
    .map((line) => line.trim());
  expect(lines).toContain('http-request set-header X-Request-Id %[uuid()] unless { req.hdr(X-Request-Id) -m found }');
  expect(lines).toContain('retry-on conn-failure empty-response response-timeout');
  expect(lines).toContain('acl repeatable method GET HEAD PUT DELETE');
  expect(lines).toContain('http-request disable-l7-retry unless repeatable');
});

test('an app that dies is declared down by the health check, not in the midst of the request that found it dead', () => {
  const servers = text(releaseOf('lb-1'))
    .split('\n')
    .find((line) => line.includes('default-server'));
  expect(servers).toContain('observe layer4 error-limit 3 on-error fastinter');
  expect(servers, 'what it was asked would be given up').not.toContain('shutdown-sessions');
});

function text(release: Release): string {
  return release.files.find((file) => file.path === '/etc/haproxy/haproxy.cfg')?.content.toString('utf8') ?? '';
}
