/**
 * Simulated hosts, in a process of their own: an ssh server each, on addresses of loopback, that answers facts.sh with what a real node
 * of the lab told; and the list of them as Linode gives it. Reads a Simulation on standard input and prints a line once it serves.
 */
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import type { ServerChannel } from 'ssh2';
import { deriveDeployKey, deriveHostKey } from '../../../actions/core/derive.ts';
import { Secret } from '../../../actions/core/secret.ts';
import { sshHost } from '../../ssh-host.ts';

export interface Simulation {
  readonly environment: string;
  readonly fleetSecret: string;
  readonly apiPort: number;
  readonly sshPort: number;
  readonly hosts: readonly SimulatedHost[];
}

export interface SimulatedHost {
  readonly name: string;
  readonly address: string;
  readonly publicAddress: string;
  /** What it says to facts.sh. */
  readonly told: string;
}

const simulation = JSON.parse(await text(process.stdin)) as Simulation;
const { environment, hosts, sshPort, apiPort } = simulation;
const secret = new Secret(simulation.fleetSecret);
const allowed = deriveDeployKey(secret, environment).publicLine;

for (const { name, publicAddress, told } of hosts) {
  const run = (_command: string, channel: ServerChannel): void => {
    channel.write(told);
    channel.exit(0);
    channel.end();
  };
  const hostKey = deriveHostKey(secret, environment, name).privateKey.reveal();
  await sshHost({ hostKey, allowed, run, address: publicAddress, port: sshPort });
}

const instances = hosts.map(({ name, address, publicAddress }, index) => ({
  ...{ id: index + 1, label: `firedrill-${environment}-${name}`, status: 'running', ipv4: [publicAddress, address] },
  tags: ['firedrill', `env:${environment}`, `node:${name}`],
}));
// The filter names every node's label, in a header.
const api = createServer({ maxHeaderSize: 1_000_000 }, (request, response) => {
  const url = new URL(request.url ?? '', 'http://localhost');
  const size = Number(url.searchParams.get('page_size') ?? 100);
  const page = Number(url.searchParams.get('page') ?? 1);
  const data = instances.slice((page - 1) * size, page * size);
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ data, page, pages: Math.ceil(instances.length / size), results: instances.length }));
});
api.listen(apiPort, '127.0.0.1', () => console.log('ready'));
