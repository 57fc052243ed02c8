import { parse } from 'yaml';
import { messageOf } from '../../core/errors.ts';
import type { Comparison, Github } from '../../core/github.ts';
import type { Log } from '../../core/log.ts';
import type { Night } from '../history/night.ts';
import { plain, plural } from './text.ts';

/** What was deployed between the last drill and this one. */
export interface Changed {
  /** When the last drill began, and what was deployed then. */
  readonly at: string;
  readonly from: string;
  readonly to: string;
  readonly url: string;
  /** How many there are, and the newest of them, the newest first. */
  readonly total: number;
  /** How many commits that were deployed then are not now. */
  readonly behind: number;
  /** The files of configs/ that differ. */
  readonly configs: readonly string[];
  readonly commits: readonly { readonly sha: string; readonly title: string }[];
  /** Of the environment's file; undefined when one of the two could not be read. */
  readonly settings: readonly Setting[] | undefined;
}

export interface Setting {
  /** `sentinel.downAfterMs` */
  readonly key: string;
  /** As YAML has it; undefined: not said, so the default holds. */
  readonly before: string | undefined;
  readonly after: string | undefined;
}

const shownCommits = 8;
const shownSettings = 12;
const shownConfigs = 12;
const unchanged: Comparison = { total: 0, behind: 0, commits: [], files: [], url: '' };

/** Undefined when there was no drill before, or nobody can tell; with a warning where GitHub can't. */
export async function changedSince(
  github: Pick<Github, 'compare' | 'readFile'>,
  history: readonly Night[],
  environment: string,
  commit: string,
  log: Log,
): Promise<Changed | undefined> {
  const last = history.findLast((night) => night.commit !== null);
  if (last === undefined || last.commit === null) return undefined;
  try {
    const path = `environments/${environment}.yaml`;
    const [{ total, behind, commits, files, url }, before, after] = await Promise.all([
      last.commit === commit ? unchanged : github.compare(last.commit, commit),
      github.readFile(last.commit, path),
      github.readFile(commit, path),
    ]);
    const known = before !== undefined && after !== undefined;
    const settings = known ? changedSettings(before.text, after.text) : undefined;
    const newest = commits.toReversed().slice(0, shownCommits);
    const configs = files.filter((file) => file.startsWith('configs/'));
    return { at: last.at, from: last.commit, to: commit, url, total, behind, configs, commits: newest, settings };
  } catch (error) {
    log.warning(`What changed since the last drill is unknown: ${messageOf(error)}`);
    return undefined;
  }
}

/** What differs between two environment files, in the order of their keys. Pure. */
export function changedSettings(before: string, after: string): Setting[] {
  const [old, now] = [flat(parse(before)), flat(parse(after))];
  const keys = [...new Set([...old.keys(), ...now.keys()])].sort();
  return keys
    .filter((key) => old.get(key) !== now.get(key))
    .map((key) => ({ key, before: old.get(key), after: now.get(key) }));
}

/** A section of the report. Pure. */
export function changedSection({ at, from, to, url, total, behind, configs, commits, settings }: Changed): string {
  const since = `since the last drill (${at.slice(0, 16).replace('T', ' ')} UTC, commit ${from.slice(0, 12)})`;
  if (from === to) return `**What changed:** nothing was deployed ${since}.`;
  const range = `[${plural(total, 'commit')}](${url})`;
  const back = behind === 0 ? '' : ` and ${plural(behind, 'commit')} taken back`;
  const more = total > commits.length ? [`- and ${plural(total - commits.length, 'commit')} before them`] : [];
  return [
    `**What changed** ${since}: ${range}${back}, ${settingsLine(settings)}.`,
    '',
    ...commits.map(({ sha, title }) => `- ${sha.slice(0, 12)} ${plain(title)}`),
    ...more,
    ...configs.slice(0, shownConfigs).map((file) => `- \`${file.replaceAll('`', "'")}\` changed`),
    ...(configs.length > shownConfigs ? [`- and ${configs.length - shownConfigs} more files of configs/`] : []),
    ...(settings ?? []).slice(0, shownSettings).map(settingLine),
  ].join('\n');
}

function settingsLine(settings: Changed['settings']): string {
  if (settings === undefined) return "the environment's settings could not be compared";
  return settings.length === 0
    ? 'no setting of the environment'
    : `${plural(settings.length, 'setting')} of the environment`;
}

function settingLine({ key, before, after }: Setting): string {
  const show = (value: string | undefined): string => (value === undefined ? 'the default' : `\`${short(value)}\``);
  return `- \`${key}\`: ${show(before)} to ${show(after)}`;
}

function short(value: string): string {
  const line = value.replaceAll('`', "'");
  return line.length > 60 ? `${line.slice(0, 60)}...` : line;
}

/** `a.b` to its value; a list is one value, but what has a name is found by it. */
function flat(value: unknown, path = ''): Map<string, string> {
  if (Array.isArray(value) && value.every((item) => typeof item?.name === 'string'))
    return flat(Object.fromEntries(value.map(({ name, ...rest }) => [name, rest])), path);
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    return new Map([[path, typeof value === 'string' ? value : JSON.stringify(value)]]);
  const own = Object.entries(value).map(([key, each]) => flat(each, path === '' ? key : `${path}.${key}`));
  return new Map(own.flatMap((each) => [...each]));
}
