import type { Masks } from './masks.ts';
import type { JobLog } from './step-log.ts';
import type { Inputs } from './triggers.ts';
import type { Annotation, Bind, Conclusion, Grace, RunOptions, StepResult } from './types.ts';
import type { Job, RunDefaults, Workflow } from './workflow-model.ts';

/** Folders of one job; GitHub gives each job a machine of its own, the lab gives it these. */
export interface Directories {
  readonly root: string;
  readonly workspace: string;
  readonly temp: string;
  readonly home: string;
  readonly tools: string;
  readonly artifacts: string;
}

/** What all steps of one running job share. */
export interface JobRun {
  readonly options: RunOptions;
  readonly workflow: Workflow;
  readonly job: Job;
  readonly directories: Directories;
  readonly github: Readonly<Record<string, unknown>>;
  readonly runner: Readonly<Record<string, string>>;
  readonly inputs: Inputs;
  readonly secrets: Readonly<Record<string, string>>;
  readonly needs: Readonly<Record<string, unknown>>;
  readonly masks: Masks;
  readonly log: JobLog;
  readonly nodeBinary: string;
  readonly container: { readonly root: string; readonly binds: readonly Bind[] } | undefined;
  readonly grace: Grace;
  readonly cancellation: Cancellation;
  readonly trackingId: string;
  /** workflow env, job env and what steps wrote to GITHUB_ENV. */
  readonly env: Record<string, string>;
  /** What steps wrote to GITHUB_PATH, newest first. */
  readonly path: string[];
  /** Run in reverse order when the steps are done. */
  readonly posts: Post[];
  readonly summaries: string[];
  readonly annotations: Annotation[];
  readonly results: StepResult[];
}

export interface Cancellation {
  /** The signal for a process that starts now: the cancel itself, or after it the end of the time for cleaning up. */
  signal(): AbortSignal;
  cancelled(): boolean;
  /** Why, for the log. */
  reason(): string;
  release(): void;
}

export interface Post {
  readonly name: string;
  readonly condition: string;
  readonly at: string;
  readonly frame: Frame;
  run(context: PostContext): Promise<Outcome>;
}

export interface PostContext {
  readonly print: (line: string) => void;
}

export interface Outcome {
  readonly conclusion: 'success' | 'failure' | 'cancelled';
  readonly outputs: Readonly<Record<string, string>>;
}

/** Where a step stands: in the job, or in a composite action with inputs, step ids and a status of its own. */
export interface Frame {
  readonly run: JobRun;
  readonly inputs: Readonly<Record<string, unknown>>;
  readonly secrets: Readonly<Record<string, string>>;
  readonly steps: Record<string, StepContext>;
  /** The env of the steps around a composite action. */
  readonly env: Readonly<Record<string, string>>;
  readonly github: Readonly<Record<string, unknown>>;
  readonly defaults: RunDefaults;
  readonly depth: number;
  /** The log of the step around a composite action; its steps have no file of their own. */
  readonly print: ((line: string) => void) | undefined;
  readonly timeouts: readonly AbortSignal[];
  status: Exclude<Conclusion, 'skipped'>;
}

export interface StepContext {
  readonly outputs: Readonly<Record<string, string>>;
  readonly outcome: Conclusion;
  readonly conclusion: Conclusion;
}
