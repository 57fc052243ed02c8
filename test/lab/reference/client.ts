import { Redis } from 'ioredis';
import { messageOf } from '../../../actions/core/errors.ts';
import { nowMs } from '../../../actions/drill/clock.ts';
import { masterName } from './settings.ts';

/** One write of the reference's client; times on the machine's monotonic clock (ms). */
export interface Write {
  readonly key: string;
  readonly intendedAt: number;
  readonly endedAt: number;
  readonly acknowledged: boolean;
  readonly error: string | undefined;
}

export interface ReferenceClient {
  /** What has ended so far. */
  readonly writes: readonly Write[];
  /** Ends the arrivals, waits for the answers (each has its deadline), and ends the client. */
  stop(): Promise<void>;
}

export interface ClientOptions {
  readonly sentinels: readonly { readonly host: string; readonly port: number }[];
  readonly password: string;
  readonly writesPerS: number;
  /** A write's own deadline (ms). */
  readonly timeoutMs: number;
}

/**
 * A plain client with Sentinel support, as its README shows it: ioredis, told the Sentinels and the name, with its defaults, and a
 * deadline for each command, as the document's example has. Writes arrive by the clock, whatever the answers do, each to a key of its own.
 */
export function startClient({ sentinels, password, writesPerS, timeoutMs }: ClientOptions): ReferenceClient {
  const client = new Redis({ sentinels: [...sentinels], name: masterName, password, commandTimeout: timeoutMs });
  client.on('error', () => {}); // each write that it broke says so
  const writes: Write[] = [];
  const pending = new Set<Promise<void>>();
  const startedAt = nowMs();
  const intervalMs = 1000 / writesPerS;
  let sent = 0;
  let timer: NodeJS.Timeout | undefined;

  const write = (key: string, intendedAt: number): void => {
    const end = (acknowledged: boolean, error?: string): void => {
      writes.push({ key, intendedAt, endedAt: nowMs(), acknowledged, error });
    };
    const ending = client.set(key, key).then(
      () => end(true),
      (error: unknown) => end(false, messageOf(error)),
    );
    pending.add(ending);
    void ending.finally(() => pending.delete(ending));
  };
  const tick = (): void => {
    for (const due = Math.floor((nowMs() - startedAt) / intervalMs) + 1; sent < due; sent += 1)
      write(`reference-${sent}`, startedAt + sent * intervalMs);
    timer = setTimeout(tick, Math.max(0, startedAt + sent * intervalMs - nowMs()));
  };
  tick();
  return {
    writes,
    async stop() {
      clearTimeout(timer);
      await Promise.all(pending);
      client.disconnect();
    },
  };
}
