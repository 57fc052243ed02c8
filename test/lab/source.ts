import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Source {
  readonly sha: string;
  readonly subject: string;
  /** Whether the work tree differs from HEAD: then `sha` is a commit made for this run, on top of HEAD, on no branch. */
  readonly dirty: boolean;
}

/**
 * The commit that the lab deploys: HEAD, or, when the work tree differs from it, a commit of the work tree that no branch holds
 * (git collects it later), so that what runs is what one sees, and is a commit all the same.
 */
export function sourceCommit(folder: string): Source {
  const scratch = mkdtempSync(join(tmpdir(), 'firedrill-index-'));
  const git = (args: readonly string[], env: Record<string, string> = {}): string => runGit(folder, args, env);
  try {
    const index = { GIT_INDEX_FILE: join(scratch, 'index') };
    git(['read-tree', 'HEAD'], index);
    git(['add', '--all'], index);
    const tree = git(['write-tree'], index);
    const subject = git(['log', '-1', '--format=%s', 'HEAD']);
    if (tree === git(['rev-parse', 'HEAD^{tree}'])) return { sha: git(['rev-parse', 'HEAD']), subject, dirty: false };
    // Dates as HEAD's: the same tree gives the same commit, so a second run has nothing to deploy.
    const date = git(['log', '-1', '--format=%cI', 'HEAD']);
    const who = {
      GIT_AUTHOR_NAME: 'lab',
      GIT_AUTHOR_EMAIL: 'lab@localhost',
      GIT_COMMITTER_NAME: 'lab',
      GIT_COMMITTER_EMAIL: 'lab@localhost',
    };
    const message = `Work tree on top of: ${subject}`;
    const sha = git(['commit-tree', tree, '-p', 'HEAD', '-m', message], {
      ...who,
      GIT_AUTHOR_DATE: date,
      GIT_COMMITTER_DATE: date,
    });
    return { sha, subject: message, dirty: true };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** A file of a commit of that clone; undefined when there is no such commit, or no such file in it. */
export function fileOf(folder: string, sha: string, path: string): Buffer | undefined {
  return isSha(sha) ? shown(folder, ['show', `${sha}:${path}`]) : undefined;
}

/** The paths that differ between two commits of that clone; none when it does not have them. */
export function changedFiles(folder: string, base: string, head: string): string[] {
  const names = isSha(base) && isSha(head) ? shown(folder, ['diff', '--name-only', '-z', base, head]) : undefined;
  return (names?.toString('utf8') ?? '').split('\0').filter((name) => name !== '');
}

function isSha(text: string): boolean {
  return /^[0-9a-f]{40}$/.test(text);
}

function shown(folder: string, args: readonly string[]): Buffer | undefined {
  const argv = ['-c', `safe.directory=${folder}`, '-C', folder, ...args];
  try {
    return execFileSync('git', argv, { stdio: ['ignore', 'pipe', 'ignore'], timeout: 10_000 });
  } catch {
    return undefined;
  }
}

function runGit(folder: string, args: readonly string[], env: Record<string, string>): string {
  // Under sudo the clone belongs to somebody else; that is who started us.
  return execFileSync('git', ['-c', `safe.directory=${folder}`, '-C', folder, ...args], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
    timeout: 60_000,
  }).trim();
}
