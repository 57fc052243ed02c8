import { FiredrillError } from '../../actions/core/errors.ts';
import { region, repository } from './paths.ts';
import { labSecrets } from './secrets.ts';
import type { Source } from './source.ts';

/** Tells the lab's GitHub that the commit came to main through a merged pull request, unless it knows. Gives the pull request's number. */
export async function mergedPullRequest(source: Source): Promise<number> {
  const known = await github<{ number: number }[]>('GET', `/commits/${source.sha}/pulls`);
  if (known[0] !== undefined) return known[0].number;
  const pull = await github<{ number: number }>('POST', '/pulls', {
    title: source.subject,
    head: source.sha,
    base: 'main',
    body: 'Made by the lab: the merge whose deployment is drilled.',
  });
  await github('PUT', `/pulls/${pull.number}/merge`, { sha: source.sha });
  return pull.number;
}

async function github<T>(method: string, path: string, body?: unknown): Promise<T> {
  const url = `http://${region.host}:${region.githubApiPort}/repos/${repository.owner}/${repository.repo}${path}`;
  const response = await fetch(url, {
    method,
    headers: { authorization: `Bearer ${labSecrets().GITHUB_TOKEN}`, 'content-type': 'application/json' },
    signal: AbortSignal.timeout(5000),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!response.ok) {
    throw new FiredrillError({
      code: 'bug',
      where: `${method} ${url}`,
      what: `the lab's GitHub answered ${response.status}: ${await response.text()}`,
    });
  }
  return (await response.json()) as T;
}
