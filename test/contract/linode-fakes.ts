import type { AddressInfo } from 'node:net';
import ssh2 from 'ssh2';
import { parse } from 'yaml';
import { sleep } from '../../actions/core/deadline.ts';
import { connectSsh, type Ssh, type SshTarget } from '../../actions/core/ssh.ts';
import type { MachineSpec, MachineState, Machines } from '../lab/linode-api/index.ts';

/** What a machine reads of its user data. */
interface CloudConfig {
  readonly hostname: string;
  readonly ssh_keys: { readonly ed25519_private: string };
  readonly users: readonly { readonly name: string; readonly ssh_authorized_keys: readonly string[] }[];
}

export interface FakeMachines extends Machines {
  readonly specs: ReadonlyMap<string, MachineSpec>;
  /** How many times each machine was created. */
  readonly created: readonly string[];
  /** Sets a state as if the machine did it by itself. */
  become(name: string, state: MachineState): void;
  /** Fails the next call of that kind with the text. */
  failNext(kind: 'create' | 'boot', text: string): void;
  /** connectSsh, led to the machine that has the address. */
  connect(target: SshTarget): Promise<Ssh>;
  close(): Promise<void>;
}

/**
 * Machines without machines: states, and for each running one a real ssh server in this process that has the host key, user and keys
 * of the user data. What a login runs is answered with `cloudInit`, as /run/cloud-init/result.json.
 */
export function fakeMachines(options: { stepMs?: number; cloudInit?: (name: string) => unknown } = {}): FakeMachines {
  const stepMs = options.stepMs ?? 2;
  const specs = new Map<string, MachineSpec>();
  const states = new Map<string, MachineState>();
  const servers = new Map<string, ssh2.Server>();
  const created: string[] = [];
  const listeners: ((name: string, state: MachineState) => void)[] = [];
  const failures: { kind: string; text: string }[] = [];
  const failIfAsked = (kind: string) => {
    if (failures[0]?.kind === kind) throw new Error(failures.shift()?.text);
  };
  const set = (name: string, state: MachineState) => {
    states.set(name, state);
    for (const listener of listeners) listener(name, state);
  };
  const stop = (name: string) => {
    servers.get(name)?.close();
    servers.delete(name);
  };
  const cloudInit = (name: string) => JSON.stringify(options.cloudInit?.(name) ?? { v1: { errors: [] } });
  const machines: FakeMachines = {
    specs,
    created,
    create: async (spec) => {
      await sleep(stepMs);
      failIfAsked('create');
      specs.set(spec.name, spec);
      created.push(spec.name);
      set(spec.name, 'offline');
    },
    boot: async (name) => {
      await sleep(stepMs);
      failIfAsked('boot');
      const spec = specs.get(name);
      if (spec === undefined) throw new Error(`no machine ${name}`);
      if (spec.userData !== '') servers.set(name, await sshServer(spec, () => cloudInit(name)));
      set(name, 'running');
    },
    shutdown: async (name) => {
      await sleep(stepMs);
      stop(name);
      set(name, 'offline');
    },
    reboot: async (name) => {
      await machines.shutdown(name);
      await machines.boot(name);
    },
    destroy: async (name) => {
      stop(name);
      specs.delete(name);
      set(name, 'missing');
    },
    state: (name) => states.get(name) ?? 'missing',
    onStateChange: (listener) => listeners.push(listener),
    become: (name, state) => {
      if (state !== 'running') stop(name);
      set(name, state);
    },
    failNext: (kind, text) => failures.push({ kind, text }),
    connect: async (target) => {
      const spec = [...specs.values()].find((each) => each.addresses.includes(target.host));
      const server = spec && servers.get(spec.name);
      if (server === undefined) throw new Error(`connect ECONNREFUSED ${target.host}:${target.port}`);
      return await connectSsh({ ...target, host: '127.0.0.1', port: (server.address() as AddressInfo).port });
    },
    close: async () => {
      for (const name of [...servers.keys()]) stop(name);
    },
  };
  return machines;
}

async function sshServer(spec: MachineSpec, answer: () => string): Promise<ssh2.Server> {
  const config = parse(spec.userData) as CloudConfig;
  const user = config.users[0];
  const server = new ssh2.Server({ hostKeys: [config.ssh_keys.ed25519_private] }, (client) => {
    client.on('error', () => {});
    client.on('authentication', (context) => {
      const known = user?.ssh_authorized_keys.some(
        (line) => context.method === 'publickey' && line.split(' ')[1] === context.key.data.toString('base64'),
      );
      if (known && context.username === user?.name) context.accept();
      else context.reject(['publickey']);
    });
    client.on('ready', () => {
      client.on('session', (accept) => {
        accept().on('exec', (acceptExec) => {
          const channel = acceptExec();
          channel.write(answer());
          channel.exit(0);
          channel.end();
        });
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}
