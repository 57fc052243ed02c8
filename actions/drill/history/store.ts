import { sleep } from '../../core/deadline.ts';
import { FiredrillError } from '../../core/errors.ts';
import type { Github } from '../../core/github.ts';
import { hasNight, type Night, parseHistory, withNight } from './night.ts';

/** A branch of its own, so that no merge and no check of main is bothered. */
export const historyBranch = 'firedrill-history';
const attempts = 8;

export type HistoryStore = Pick<Github, 'readFile' | 'writeFile' | 'makeBranch'>;

export function historyPath(environment: string): string {
  return `${environment}.jsonl`;
}

/** The nights before, none when there is no history yet. */
export async function readHistory(github: HistoryStore, environment: string): Promise<Night[]> {
  return parseHistory((await github.readFile(historyBranch, historyPath(environment)))?.text ?? '');
}

/**
 * Appends one night. Two writers lose nothing: a write names the version that it replaces, and who comes second reads again. Safe to
 * repeat. Throws a FiredrillError when others were quicker each time.
 * @param commit where the branch begins when there is none
 */
export async function appendNight(github: HistoryStore, night: Night, commit: string, pauseMs = 200): Promise<void> {
  const path = historyPath(night.environment);
  for (let tried = 1; tried <= attempts; tried += 1) {
    const present = await github.readFile(historyBranch, path);
    if (present === undefined) await github.makeBranch(historyBranch, commit);
    if (hasNight(present?.text ?? '', night)) return;
    const text = withNight(present?.text ?? '', night);
    const message = `Drill of ${night.environment}, ${night.at.slice(0, 10)}: ${night.ok ? 'passed' : 'failed'}`;
    if (await github.writeFile({ branch: historyBranch, path, text, message, replaces: present?.sha })) return;
    await sleep(Math.random() * pauseMs * tried);
  }
  throw new FiredrillError({
    code: 'remote',
    where: `branch ${historyBranch}`,
    what: `somebody else wrote ${path} each of ${attempts} times`,
    fix: 'This night is missing in the history; the next one will not be',
  });
}
