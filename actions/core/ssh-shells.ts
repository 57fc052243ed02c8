import type { Client, ClientChannel } from 'ssh2';

/** Shells on a node that wait for their command line. */
export interface WaitingShells {
  /**
   * A channel whose shell runs the command once it is written there, as one line; what follows is the command's standard input.
   * Undefined while none is ready, and for a command of several lines. Either way the next one is opened.
   */
  take(command: string): ClientChannel | undefined;
}

// A line that was cut off by a broken connection is not run: `read` fails without the line's end. It reads no byte beyond it.
const waits = 'IFS= read -r command && eval "$command"';

/** Keeps one shell waiting from the first command on, opened while that one runs. Where it can't be opened there is none, and no error. */
export function waitingShells(client: Client): WaitingShells {
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

  return {
    take(command) {
      const shell = command.includes('\n') ? undefined : ready;
      if (shell !== undefined) ready = undefined;
      // After the caller has sent its own: what is on its way need not wait.
      queueMicrotask(open);
      return shell;
    },
  };
}
