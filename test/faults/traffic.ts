import { spawn } from 'node:child_process';
import { withDeadline } from '../../actions/core/deadline.ts';
import { clone, nodeBinary, region } from '../lab/paths.ts';
import type { TrafficReport } from './client.ts';

export interface Traffic {
  /** Ends the requests, reads everything back, and tells what became of it. Throws when the client itself broke. */
  end(): Promise<TrafficReport>;
}

/** Clients of the load balancer at `url`, until `end`. */
export function startTraffic(url: string): Traffic {
  const args = [`--net=/run/netns/${region.namespace}`, nodeBinary, `${clone}/test/faults/client.ts`, url];
  const child = spawn('nsenter', args, { stdio: ['pipe', 'pipe', 'pipe'] });
  let output = '';
  let complaint = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (complaint += chunk.toString()));
  const ended = new Promise<TrafficReport>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) =>
      code === 0 ? resolve(JSON.parse(output)) : reject(new Error(`the client ended with code ${code}: ${complaint}`)),
    );
  });
  ended.catch(() => {}); // told by end()
  return {
    end: async () => {
      child.stdin.end();
      return await withDeadline(ended, 60_000, 'the clients to end and to read back', () => child.kill('SIGKILL'));
    },
  };
}
