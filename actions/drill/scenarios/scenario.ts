import type { Role, ScenarioName } from '../../core/environment/schema.ts';
import type { NodeScript } from '../node-script.ts';

/** The state that a scenario chooses its targets from: proved steady just before. */
export interface LiveState {
  /** Names, in the order of the environment file. */
  readonly primary: string;
  /** The load balancer that clients are served by: the holder of the shared address, or the only one. */
  readonly balancer: string;
  readonly nodes: Readonly<Record<Role, readonly string[]>>;
  /** Private addresses, by name. */
  readonly addresses: Readonly<Record<string, string>>;
}

/** A call of one of the scripts in node/. */
export interface ScriptCall {
  readonly script: NodeScript;
  readonly args: readonly string[];
}

/** What is done to a node, and what undoes it from whatever state; the undo may run twice. */
export interface Fault {
  readonly inject: ScriptCall;
  /** Armed on the node before anything is broken. */
  readonly undo: ScriptCall;
  /** Makes the fault quick; breaks nothing by itself. */
  readonly prepare?: ScriptCall;
  /** The machine goes off: it is booted through Linode's API before the undo. */
  readonly powersOff?: true;
  /** The machine goes and comes back by itself: the undo waits for it. */
  readonly reboots?: true;
  /** It ends by itself after so long (ms). The controller can't reach the node meanwhile, so the undo waits for it. */
  readonly lastsMs?: number;
}

/** One fault on some nodes. */
export interface Step extends Fault {
  /** Whom it may hit: all of them promise to undo it. */
  readonly nodes: readonly string[];
  /**
   * When. Undefined: with the fault, which is what the times are counted from. `beforeMs`: so long before it, and no client may notice
   * (a longer wait of some writes apart). `on`: when a Sentinel says that a leader is elected, and hits that Sentinel; or when it
   * announces the new primary, and hits that.
   */
  readonly when?: { readonly beforeMs: number } | { readonly on: 'leader' | 'new primary' };
}

/**
 * What a scenario rolls out while clients are served: what is deployed (`same`), that with a change for every role and then itself
 * again (`changed`), or a C service that never gets ready (`bad`).
 */
export type Release = 'same' | 'changed' | 'bad';

/** One way to break the system. */
export interface Scenario {
  readonly name: ScenarioName;
  /** For the report: what happens to whom. */
  readonly breaks: string;
  readonly steps: (state: LiveState) => readonly Step[];
  /** Takes the place of the fault. */
  readonly deploys?: Release;
  /** What comes before the fault has to make another Redis primary. */
  readonly movesBefore?: true;
  /** How often Sentinel must announce another primary; `any`: what matters is what clients notice. */
  readonly failovers: 0 | 1 | 2 | 'at most 1' | 'any';
  /**
   * What has to be back within the budget. `fault`: the clients, counted from the fault. `return`: the clients, counted from the end
   * of the fault, for nobody can serve before. `stall`: nothing goes away; no answer may take longer.
   */
  readonly recovery: 'fault' | 'return' | 'stall';
  /** The longest time that passes, unless the environment says otherwise (ms). */
  readonly budgetMs: number;
  /**
   * How many requests may fail because of it: those in flight on what dies, or all of a whole outage. `dueWithinMs`: all that came
   * within so long after the fault, and none later: they were in the hands of the only one that clients knew.
   */
  readonly mayFail: number | { readonly dueWithinMs: number };
  /**
   * The alert that must fire before the fault is undone. `any`: none must, and any may, for it depends on the environment's times whether
   * the fault lasts long enough. null: no critical one may.
   */
  readonly alert: string | null;
}
