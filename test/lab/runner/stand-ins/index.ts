import type { Directories } from '../job-run.ts';
import type { RunOptions } from '../types.ts';
import { downloadArtifact, uploadArtifact } from './artifacts.ts';
import { cache } from './cache.ts';
import { checkout } from './checkout.ts';
import { setupNode } from './setup-node.ts';

/** The lab's replacement for a foreign action: matched by owner/name, whatever commit the workflow pins. */
export interface StandIn {
  /** `actions/checkout` */
  readonly name: string;
  /** Every input that it knows, with its default; any other is an error. */
  readonly inputs: Readonly<Record<string, string>>;
  main(call: StandInCall): Promise<void>;
  post?(call: StandInCall): Promise<void>;
  readonly postIf?: string;
}

export interface StandInCall {
  readonly inputs: Readonly<Record<string, string>>;
  /** file:line:column of the step. */
  readonly at: string;
  readonly options: RunOptions;
  readonly directories: Directories;
  readonly nodeBinary: string;
  readonly github: Readonly<Record<string, unknown>>;
  /** From main to post. */
  readonly state: Record<string, string>;
  log(line: string): void;
  output(name: string, value: string): void;
  addPath(directory: string): void;
}

/** All foreign actions that the lab can stand in for. */
const STAND_INS: readonly StandIn[] = [checkout, setupNode, cache, uploadArtifact, downloadArtifact];

export function standInFor(uses: string): StandIn | undefined {
  const [name] = uses.split('@');
  return STAND_INS.find((candidate) => candidate.name === name);
}
