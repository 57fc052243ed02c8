import { createHash } from 'node:crypto';
import type { StateFile } from '../state-file.ts';

export interface StoredCommit {
  sha: string;
  message: string;
  date: string;
  parents: string[];
}

export interface StoredPull {
  id: number;
  number: number;
  title: string;
  body: string | null;
  state: 'open' | 'closed';
  mergedAt: string | null;
  mergeCommitSha: string | null;
  headRef: string;
  headSha: string;
  baseRef: string;
  labels: string[];
  createdAt: string;
  updatedAt: string;
  login: string;
}

export interface StoredComment {
  id: number;
  /** The issue's number, or the commit's sha. */
  on: number | string;
  body: string;
  createdAt: string;
  updatedAt: string;
}

export interface StoredDeployment {
  id: number;
  sha: string;
  ref: string;
  task: string;
  environment: string;
  description: string | null;
  payload: unknown;
  transient: boolean;
  production: boolean;
  createdAt: string;
  updatedAt: string;
  statuses: StoredStatus[];
}

export interface StoredStatus {
  id: number;
  state: string;
  description: string;
  environment: string;
  logUrl: string;
  environmentUrl: string;
  createdAt: string;
}

export interface State {
  nextId: number;
  commits: StoredCommit[];
  pulls: StoredPull[];
  issueComments: StoredComment[];
  commitComments: StoredComment[];
  deployments: StoredDeployment[];
  labels: string[];
  /** `refs/heads/main` to a sha. */
  refs: Record<string, string>;
  /** Branch name to path to base64. */
  contents: Record<string, Record<string, string>>;
}

export interface Repository {
  readonly owner: string;
  readonly repo: string;
  readonly store: StateFile<State>;
  /** Where a browser would go. */
  readonly htmlUrl: string;
  /** A file of a commit that was pushed; undefined when there is none. */
  readonly file?: ((sha: string, path: string) => Buffer | undefined) | undefined;
  /** The paths that differ between two of them. */
  readonly changed?: ((base: string, head: string) => string[]) | undefined;
}

export function nextId(repository: Repository): number {
  repository.store.data.nextId += 1;
  return repository.store.data.nextId;
}

/** GitHub writes times in UTC, to the second. */
export function timestamp(): string {
  return `${new Date().toISOString().slice(0, 19)}Z`;
}

/** An opaque identifier, as every object has one. */
export function nodeId(kind: string, id: number | string): string {
  return Buffer.from(`${kind}:${id}`).toString('base64url');
}

/** Git's own name for a file's content. */
export function blobSha(content: Buffer): string {
  return createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex');
}

/** Who acts with a workflow's own token. */
export const bot = {
  login: 'github-actions[bot]',
  id: 41898282,
  node_id: 'MDM6Qm90NDE4OTgyODI=',
  type: 'Bot',
  site_admin: false,
  html_url: 'https://github.com/apps/github-actions',
};

export function userView(login: string): typeof bot {
  if (login === bot.login) return bot;
  return {
    login,
    id: 1,
    node_id: nodeId('User', login),
    type: 'User',
    site_admin: false,
    html_url: `https://github.com/${login}`,
  };
}
