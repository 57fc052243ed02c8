import type { Secret } from '../../../actions/core/secret.ts';

export interface WorkflowEvent {
  /** `push`, `workflow_dispatch`, `schedule`, `pull_request`. */
  readonly name: string;
  readonly payload?: Readonly<Record<string, unknown>>;
  /** workflow_dispatch only: what the user typed; defaults and types come from the workflow. */
  readonly inputs?: Readonly<Record<string, string | boolean | number>>;
}

export interface Bind {
  /** The same path inside and outside, so that `github.workspace` means one thing. */
  readonly path: string;
  readonly readOnly: boolean;
}

export interface ContainerSpec {
  /** What the lab's table says for the image: a root directory. */
  readonly root: string;
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly binds: readonly Bind[];
  readonly timeoutMs: number;
  readonly onLine: (line: string) => void;
  /** Aborted when the step is to stop: the runner of containers signals the process, and ends it after the usual grace. */
  readonly signal: AbortSignal;
}

/** How a job with `container:` runs its processes. The lab gives it the build root. */
export interface Containers {
  /** Image name without its digest (`debian:trixie`) to root directory. */
  readonly images: Readonly<Record<string, string>>;
  run(spec: ContainerSpec): Promise<{ readonly code: number }>;
}

export interface RunnerLog {
  /** One line per job and step, already masked. */
  step(line: string): void;
  /** What steps print, already masked, with the step's name. Left out: only the log files have it. */
  output?(line: string, step: string): void;
}

export interface RunOptions {
  /** Path of the workflow file; its name relative to `sourceRepo` is what errors show. */
  readonly workflow: string;
  readonly event: WorkflowEvent;
  /** `owner/name` */
  readonly repository: string;
  readonly sha: string;
  /** `refs/heads/main` */
  readonly ref: string;
  /** The git clone that actions/checkout takes the commit from. */
  readonly sourceRepo: string;
  readonly secrets: Readonly<Record<string, Secret>>;
  readonly vars?: Readonly<Record<string, string>>;
  readonly githubApiUrl: string;
  readonly serverUrl?: string;
  readonly token: Secret;
  readonly actor?: string;
  readonly runId?: number;
  readonly runNumber?: number;
  /** Holds the jobs' workspaces; the caller removes it. */
  readonly workDir: string;
  /** Holds a folder for each artifact. Default: `_artifacts` of workDir. */
  readonly artifactsDir?: string;
  readonly cacheDir: string;
  /** Default: `out/logs` of sourceRepo. */
  readonly logDir?: string;
  readonly containers?: Containers;
  readonly log: RunnerLog;
  /** Node 24 for JavaScript actions and setup-node. Default: the node that runs this. */
  readonly nodeBinary?: string;
  /** The host's environment as steps see it. Default: PATH, LANG and USER only, so that nothing leaks in unnoticed. */
  readonly hostEnv?: Readonly<Record<string, string>>;
  /** Abort to cancel, as the Cancel button does. */
  readonly signal?: AbortSignal;
  readonly grace?: Grace;
}

export interface Grace {
  /** From SIGINT to SIGTERM; GitHub's runner: 7500. */
  readonly interruptMs: number;
  /** From SIGTERM to SIGKILL; GitHub's runner: 2500. */
  readonly terminateMs: number;
  /** What always() and post steps have in all after a cancel; GitHub: 300000. */
  readonly cleanupMs: number;
}

export type Conclusion = 'success' | 'failure' | 'cancelled' | 'skipped';

export interface StepResult {
  readonly id: string;
  readonly name: string;
  readonly outcome: Conclusion;
  readonly conclusion: Conclusion;
  readonly outputs: Readonly<Record<string, string>>;
  readonly ms: number;
}

export interface Annotation {
  readonly level: 'error' | 'warning' | 'notice';
  readonly message: string;
  readonly job: string;
  readonly step: string;
  readonly properties: Readonly<Record<string, string>>;
}

export interface JobResult {
  readonly id: string;
  readonly name: string;
  readonly conclusion: Conclusion;
  readonly steps: readonly StepResult[];
  readonly outputs: Readonly<Record<string, string>>;
  /** The job summary as GitHub would render it, masked. */
  readonly summary: string;
  readonly environment?: string;
  readonly permissions: Readonly<Record<string, string>> | string;
  readonly ms: number;
}

export interface RunResult {
  readonly name: string;
  readonly conclusion: 'success' | 'failure' | 'cancelled';
  readonly jobs: readonly JobResult[];
  readonly annotations: readonly Annotation[];
  /** The evaluated concurrency group, or undefined. */
  readonly concurrency?: { readonly group: string; readonly queue: string; readonly cancelInProgress: boolean };
  /** Name to directory of every artifact that was uploaded. */
  readonly artifacts: Readonly<Record<string, string>>;
  readonly logDir: string;
}
