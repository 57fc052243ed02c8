import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';
import { Secret } from '../../actions/core/secret.ts';
import { type RunOptions, type RunResult, runWorkflow } from '../lab/runner/index.ts';

/** Any pinned commit: the stand-ins don't look at it. */
export const PIN = '0123456789012345678901234567890123456789';

export interface Repo {
  readonly folder: string;
  readonly sha: string;
  /** Every line that the run printed. */
  readonly output: string[];
  /** The one line per job and step. */
  readonly steps: string[];
  run(options?: Partial<RunOptions>): Promise<RunResult>;
  /** The log of a step, by a part of its file name. */
  stepLog(result: RunResult, job: string, step: string): string;
}

/** A git repository with the given files, and a workflow `.github/workflows/test.yml` to run for a push to main. */
export function repoWith(workflow: string, files: Readonly<Record<string, string>> = {}): Repo {
  const folder = mkdtempSync(join(tmpdir(), 'runner-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const source = join(folder, 'source');
  const all = { '.github/workflows/test.yml': workflow, 'package.json': '{"type":"module"}', ...files };
  for (const [name, content] of Object.entries(all)) {
    mkdirSync(dirname(join(source, name)), { recursive: true });
    writeFileSync(join(source, name), content);
  }
  const git = (...args: string[]): string => execFileSync('git', args, { cwd: source, encoding: 'utf8' }).trim();
  git('init', '-q', '-b', 'main');
  git('add', '--all');
  git('-c', 'user.name=t', '-c', 'user.email=t@localhost', 'commit', '-q', '-m', 'test');
  const sha = git('rev-parse', 'HEAD');
  const output: string[] = [];
  const steps: string[] = [];
  let runs = 0;
  return {
    ...{ folder: source, sha, output, steps },
    run: async (options = {}) => {
      runs += 1;
      return await runWorkflow({
        workflow: '.github/workflows/test.yml',
        event: { name: 'push' },
        repository: 'owner/repo',
        sha,
        ref: 'refs/heads/main',
        sourceRepo: source,
        secrets: { PASSWORD: new Secret('correct horse') },
        githubApiUrl: 'http://127.0.0.1:9',
        token: new Secret('ghs_token'),
        workDir: join(folder, `work-${runs}`),
        cacheDir: join(folder, 'cache'),
        log: { step: (line) => steps.push(line), output: (line) => output.push(line) },
        ...options,
      });
    },
    stepLog: (result, job, step) => {
      const names = execFileSync('ls', [join(result.logDir, job)], { encoding: 'utf8' }).split('\n');
      const name = names.find((candidate) => candidate.includes(step));
      if (name === undefined) throw new Error(`no log with ${step} among ${names.join(', ')}`);
      return readFileSync(join(result.logDir, job, name), 'utf8');
    },
  };
}

/** A workflow on push with one job `a` on ubuntu and these steps, already indented by two. */
export function oneJob(steps: string, keys = ''): string {
  return `on: push\npermissions: {}\njobs:\n  a:\n    runs-on: ubuntu-24.04\n${keys}    steps:\n${steps}`;
}
