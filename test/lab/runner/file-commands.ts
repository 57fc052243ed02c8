import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FiredrillError } from '../../../actions/core/errors.ts';

/** The files through which one process talks back, named by their environment variables. */
export interface CommandFiles {
  readonly env: Readonly<Record<string, string>>;
  /** Reads what was written and removes the files. Throws a FiredrillError for text that isn't in their format. */
  collect(): FileCommands;
}

export interface FileCommands {
  readonly outputs: Readonly<Record<string, string>>;
  readonly state: Readonly<Record<string, string>>;
  readonly env: Readonly<Record<string, string>>;
  readonly path: readonly string[];
  readonly summary: string;
}

const FILES = ['GITHUB_OUTPUT', 'GITHUB_STATE', 'GITHUB_ENV', 'GITHUB_PATH', 'GITHUB_STEP_SUMMARY'] as const;

/** What GitHub refuses beyond: a summary of more than 1 MiB. */
const SUMMARY_LIMIT = 1024 * 1024;

export function createCommandFiles(directory: string): CommandFiles {
  mkdirSync(directory, { recursive: true });
  const id = randomUUID();
  const env = Object.fromEntries(FILES.map((name) => [name, join(directory, `${name.toLowerCase()}_${id}`)]));
  for (const path of Object.values(env)) writeFileSync(path, '');
  const content = (name: (typeof FILES)[number]): string => readFileSync(env[name] as string, 'utf8');
  return {
    env,
    collect: () => {
      try {
        return {
          outputs: parsePairs('GITHUB_OUTPUT', content('GITHUB_OUTPUT')),
          state: parsePairs('GITHUB_STATE', content('GITHUB_STATE')),
          env: checkEnv(parsePairs('GITHUB_ENV', content('GITHUB_ENV'))),
          path: content('GITHUB_PATH')
            .split(/\r?\n/)
            .filter((line) => line !== ''),
          summary: checkSummary(content('GITHUB_STEP_SUMMARY')),
        };
      } finally {
        for (const path of Object.values(env)) rmSync(path, { force: true });
      }
    },
  };
}

/** `name=value` lines and `name<<DELIMITER` blocks. */
export function parsePairs(file: string, content: string): Record<string, string> {
  const lines = content.split('\n').map((line) => line.replace(/\r$/, ''));
  const pairs: Record<string, string> = {};
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index] ?? '';
    if (line === '') continue;
    const equals = line.indexOf('=');
    const heredoc = line.indexOf('<<');
    if (heredoc > 0 && (equals < 0 || heredoc < equals)) {
      const delimiter = line.slice(heredoc + 2);
      const end = lines.indexOf(delimiter, index + 1);
      if (delimiter === '' || end < 0) throw malformed(file, `no closing '${delimiter}'`);
      pairs[line.slice(0, heredoc)] = lines.slice(index + 1, end).join('\n');
      index = end;
    } else if (equals > 0) pairs[line.slice(0, equals)] = line.slice(equals + 1);
    else throw malformed(file, `'${line}' is neither name=value nor name<<DELIMITER`);
  }
  return pairs;
}

function checkEnv(pairs: Record<string, string>): Record<string, string> {
  const refused = Object.keys(pairs).find((name) => /^(NODE_OPTIONS$|GITHUB_|RUNNER_)/i.test(name));
  if (refused !== undefined) throw malformed('GITHUB_ENV', `'${refused}' can't be set through it`);
  return pairs;
}

function checkSummary(text: string): string {
  if (Buffer.byteLength(text) > SUMMARY_LIMIT)
    throw malformed('GITHUB_STEP_SUMMARY', 'more than 1 MiB, which GitHub drops');
  return text;
}

function malformed(file: string, what: string): FiredrillError {
  return new FiredrillError({ code: 'config', what, where: `$${file}` });
}
