import type { Role, ScenarioName } from '../../core/environment/schema.ts';
import type { NodeScript } from '../node-script.ts';

/** The state that a scenario chooses its target from: proved steady just before. */
export interface LiveState {
  /** Names, in the order of the environment file. */
  readonly primary: string;
  readonly nodes: Readonly<Record<Role, readonly string[]>>;
}

/** A call of one of the scripts in node/. */
export interface ScriptCall {
  readonly script: NodeScript;
  readonly args: readonly string[];
}

/** One way to break the system. The budget is the environment's. */
export interface Scenario {
  readonly name: ScenarioName;
  /** For the report: what happens to whom. */
  readonly breaks: string;
  /** The node to break. */
  target(state: LiveState): string;
  readonly inject: ScriptCall;
  /** Undoes it from whatever state, and may run twice. Armed on the node before the fault. */
  readonly undo: ScriptCall;
  /** Whether Sentinel must promote a replica, or must not. */
  readonly failover: 'expected' | 'forbidden';
}
