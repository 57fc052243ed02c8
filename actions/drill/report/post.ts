import { FiredrillError, messageOf } from '../../core/errors.ts';
import type { Github } from '../../core/github.ts';
import type { Log } from '../../core/log.ts';
import { markerOf } from './comment.ts';

/** The commit that the environment runs, as GitHub's deployments tell; undefined when they don't, with a warning. */
export async function deployedCommit(github: Github, environment: string, log: Log): Promise<string | undefined> {
  try {
    const commit = await github.deployedCommit(environment);
    if (commit === undefined) log.warning(`GitHub knows no successful deployment to ${environment}`);
    return commit;
  } catch (error) {
    log.warning(messageOf(error));
    return undefined;
  }
}

/** On a pull request whose commit does not recover as it should. */
export const redLabel = 'drill failed';

/** Puts the comment on the commit's pull request, which has a label until all is `ok` again, or on the commit when it came without one. Gives the comment's address. */
export async function postComment(
  github: Github,
  { environment, ok }: { readonly environment: string; readonly ok: boolean },
  commit: string,
  body: string,
): Promise<string> {
  const marker = markerOf(environment);
  if (!body.startsWith(marker))
    throw new FiredrillError({ code: 'bug', what: 'a comment without its marker would never be found again' });
  const pull = await github.pullOfCommit(commit);
  if (pull === undefined) return (await github.commentOnCommit(commit, marker, body)).url;
  const { url } = await github.commentOnPull(pull.number, marker, body);
  await (ok ? github.removeLabel(pull.number, redLabel) : github.addLabel(pull.number, redLabel));
  return url;
}
