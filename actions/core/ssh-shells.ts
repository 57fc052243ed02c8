import type { Client, ClientChannel } from 'ssh2';

/** Root's shells on a node that wait for their command line. */
export interface WaitingShells {
  /**
   * For a command that begins with `sudo -n`: a channel, and the line that has it run there once it is written; what follows is the
   * command's standard input. Undefined while none is ready, and for another command or one of several lines. Either way the next one is
   * opened.
   */
  take(command: string): { readonly channel: ClientChannel; readonly line: string } | undefined;
}

// A line that was cut off by a broken connection is not run: `read` fails without the line's end. It reads no byte beyond it.
const sudo = 'sudo -n ';
const waits = `${sudo}sh -c 'IFS= read -r command && eval "$command"'`;

/**
 * Keeps one shell waiting, at once or from the first command on, opened while that one runs. Where it can't be opened there is none, and
 * no error.
 */
export function waitingShells(client: Client, when: 'at once' | 'after a command'): WaitingShells {
  let ready: ClientChannel | undefined;
  let opening = false;

  const open = (): void => {
    if (opening || ready !== undefined) return;
    opening = true;
    try {
      client.exec(waits, (error, channel) => {
        opening = false;
        if (error) return;
        ready = channel;
        channel.on('error', () => {});
        channel.once('close', () => {
          if (ready === channel) ready = undefined;
        });
      });
    } catch {
      // The connection is gone; whoever uses it will be told.
      opening = false;
    }
  };

  if (when === 'at once') open();
  return {
    take(command) {
      const channel = command.startsWith(sudo) && !command.includes('\n') ? ready : undefined;
      if (channel !== undefined) ready = undefined;
      // After the caller has sent its own: what is on its way need not wait.
      queueMicrotask(open);
      return channel && { channel, line: `${command.slice(sudo.length)}\n` };
    },
  };
}
