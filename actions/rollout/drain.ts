import { sleep } from '../core/deadline.ts';
import { FiredrillError } from '../core/errors.ts';
import { parseHaproxyStat } from '../core/haproxy.ts';
import { shellQuote } from '../core/ssh.ts';
import type { Member } from './fleet.ts';

const timeoutMs = 5000;

/** HAProxy sends the server nothing new. Waits until it has nothing in flight, for at most `drainMs`. */
export async function drainServer(lb: Member, app: string, drainMs: number): Promise<void> {
  await ask(lb, `set server app/${app} state drain`);
  const deadline = performance.now() + drainMs;
  while (performance.now() < deadline) {
    const servers = parseHaproxyStat(await ask(lb, 'show stat'));
    if ((servers.find((server) => server.backend === 'app' && server.server === app)?.sessions ?? 0) === 0) return;
    await sleep(50);
  }
}

/** HAProxy takes the server back as soon as its checks say so. */
export async function readyServer(lb: Member, app: string): Promise<void> {
  await ask(lb, `set server app/${app} state ready`);
}

async function ask(lb: Member, command: string): Promise<string> {
  const line = `sudo -n socat -t 2 - UNIX-CONNECT:${shellQuote('/run/haproxy/admin.sock')}`;
  const result = await lb.ssh.exec(line, { stdin: `${command}\n`, timeoutMs });
  const answer = result.stdout.trim();
  // `set server` answers with an empty line, or says what is wrong.
  if (result.code === 0 && (command.startsWith('show') || answer === '')) return result.stdout;
  throw new FiredrillError({
    code: 'remote',
    node: lb.node.name,
    phase: 'drain',
    what: `HAProxy refuses "${command}": ${answer || result.stderr.trim()}`,
  });
}
