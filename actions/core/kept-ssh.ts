import { FiredrillError } from './errors.ts';
import type { ExecOptions, ExecResult, Ssh } from './ssh.ts';

/** A connection to a node that is made at its first use, and anew at the first use after it broke. */
export type KeptSsh = Pick<Ssh, 'node' | 'exec' | 'forward' | 'close'>;

/** `first`: one that is there already. A command on a connection that breaks fails: it may have come through, and is not sent again. */
export function keptSsh(node: string, connect: () => Promise<Ssh>, first?: Ssh): KeptSsh {
  let current = first === undefined ? undefined : Promise.resolve(first);
  const use = async <T>(work: (ssh: Ssh) => Promise<T>): Promise<T> => {
    current ??= connect();
    const link = current;
    try {
      return await work(await link);
    } catch (error) {
      // What went wrong may be the connection. The next use makes a new one; those on the old one end with it.
      if (current === link && brokenLink(error)) {
        current = undefined;
        link.then((ssh) => ssh.close()).catch(() => {});
      }
      throw error;
    }
  };
  return {
    node,
    exec: (command: string, options: ExecOptions): Promise<ExecResult> => use((ssh) => ssh.exec(command, options)),
    forward: (host, port, timeoutMs) => use((ssh) => ssh.forward(host, port, timeoutMs)),
    close() {
      current?.then((ssh) => ssh.close()).catch(() => {});
      current = undefined;
    },
  };
}

/** A tunnel that was refused says that nothing listens there, and nothing about the connection. */
function brokenLink(error: unknown): boolean {
  if (!(error instanceof FiredrillError)) return true;
  return !/connection refused|connect failed/i.test(error.message);
}
