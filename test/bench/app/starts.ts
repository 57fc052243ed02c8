import { run } from '../../sandbox/inside.ts';
import { median } from '../statistics.ts';
import { loadCpu, masters, nginxArgv, pinned, ports, serverCpu, serviceArgv, webdisArgv } from './programs.ts';

/** Milliseconds from the start of the process until it accepts a connection; medians. */
export interface Starts {
  readonly ours: number;
  readonly webdis: number;
  readonly nginx: number;
}

const times = 21;

/** Starts each 21 times, one after the other in turn. */
export async function measureStarts(): Promise<Starts> {
  const argvs = {
    ours: serviceArgv(ports.scratch, masters.alone, 'async'),
    webdis: webdisArgv(ports.scratch + 1),
    nginx: nginxArgv(ports.scratch + 2),
  };
  const taken = { ours: [] as number[], webdis: [] as number[], nginx: [] as number[] };
  for (let time = 0; time < times; time += 1) {
    taken.ours.push(await listening(ports.scratch, argvs.ours));
    taken.webdis.push(await listening(ports.scratch + 1, argvs.webdis));
    taken.nginx.push(await listening(ports.scratch + 2, argvs.nginx));
  }
  return { ours: median(taken.ours), webdis: median(taken.webdis), nginx: median(taken.nginx) };
}

async function listening(port: number, argv: readonly string[]): Promise<number> {
  const helper = ['/tmp/bench-build/listening', String(serverCpu), String(port), ...argv];
  const [program, ...args] = pinned(loadCpu, helper);
  return Number(await run(program, args, 10_000)) / 1e6;
}
