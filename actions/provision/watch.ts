import { FiredrillError } from '../core/errors.ts';
import type { Event, LinodeApi } from '../core/linode/api.ts';
import type { Instance } from '../core/linode/names.ts';

/** What Linode says of an instance at one moment. */
export interface Sight {
  readonly instance: Instance | undefined;
  /** Its newest event, or undefined. */
  readonly event: Pick<Event, 'action' | 'status' | 'message'> | undefined;
}

export interface Watch {
  /** The instance as Linode saw it after `notBefore` (performance.now()). */
  look(id: number, notBefore: number): Promise<Sight>;
}

/**
 * One pair of lists for all machines that are waited for: Linode allows 200 lists a minute, which ten machines that ask each for
 * themselves every two seconds would overrun.
 */
export function watchInstances(api: LinodeApi, list: () => Promise<readonly Instance[]>, intervalMs: number): Watch {
  const watched = new Set<number>();
  let latest: { readonly at: number; readonly sights: Promise<(id: number) => Sight> } | undefined;
  const lookAround = async () => {
    const [instances, events] = await Promise.all([list(), api.listInstanceEvents([...watched])]);
    return (id: number): Sight => ({
      instance: instances.find((each) => each.id === id),
      event: events.find((each) => each.entity?.id === id),
    });
  };
  return {
    look: async (id, notBefore) => {
      const isNew = !watched.has(id);
      watched.add(id);
      const now = performance.now();
      if (latest === undefined || isNew || latest.at < notBefore || now - latest.at >= intervalMs) {
        latest = { at: now, sights: lookAround() };
      }
      return (await latest.sights)(id);
    },
  };
}

/** Undefined: not yet. An error: it won't. */
export function judge(sight: Sight): 'running' | 'off' | FiredrillError | undefined {
  const { instance, event } = sight;
  if (instance === undefined) {
    return new FiredrillError({
      code: 'remote',
      what: 'the Linode is gone',
      fix: 'Somebody deleted it meanwhile; run again',
    });
  }
  if (event?.status === 'scheduled' || event?.status === 'started') return undefined;
  if (instance.status === 'running') return 'running';
  if (event?.status === 'failed') {
    return new FiredrillError({
      code: 'remote',
      what: `Linode says that ${event.action} failed${event.message ? `: ${event.message}` : ''}`,
      fix: `Look at Linode ${instance.id} in the Cloud Manager; when it can't be booted, delete it and run again`,
    });
  }
  return instance.status === 'offline' ? 'off' : undefined;
}
