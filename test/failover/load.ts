import type { Operation } from '../../actions/core/history/operation.ts';
import type { Workload } from '../../actions/core/history/workload.ts';
import { send } from './client.ts';

export interface Load {
  /** All that has ended, in the order of ending; grows. */
  readonly history: readonly Operation[];
  /** The latest that a request left, after its time (ms): the load's own trouble. */
  lagMs(): number;
  /** Ends the arrivals; resolves when every request has ended. */
  stop(): Promise<void>;
}

/**
 * Open loop: arrivals follow the clock, whatever the answers do, so that a stall is felt by all who would have come meanwhile. They
 * come at random (a Poisson process), or they would keep step with the timers of what is tested.
 */
export function startLoad(work: Workload, requestsPerS: number): Load {
  const history: Operation[] = [];
  const pending = new Set<Promise<void>>();
  let due = performance.now();
  let lag = 0;
  let timer: NodeJS.Timeout | undefined;
  const arrive = (): void => {
    const arrival = send(work.next()).then((operation) => {
      history.push(operation);
      work.ended(operation);
      pending.delete(arrival);
    });
    pending.add(arrival);
  };
  const tick = (): void => {
    lag = Math.max(lag, performance.now() - due);
    for (; due <= performance.now(); due += (-Math.log(1 - Math.random()) * 1000) / requestsPerS) arrive();
    timer = setTimeout(tick, due - performance.now());
  };
  tick();
  return {
    history,
    lagMs: () => lag,
    async stop() {
      clearTimeout(timer);
      await Promise.all(pending);
    },
  };
}
