import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { type Document, isMap, isNode, LineCounter, parseDocument } from 'yaml';
import type { z } from 'zod';
import { FiredrillError, messageOf } from '../errors.ts';
import type { Log } from '../log.ts';
import { crossChecks, type Mistake, type ParsedSections } from './checks.ts';
import { type Environment, environmentSchema, nodeSchema, sections } from './schema.ts';
import { mistakesOf } from './zod-mistakes.ts';

export interface LocatedMistake {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly what: string;
  readonly fix: string;
}

/** An environment file that can't be used: all its mistakes, each with its place. */
export class EnvironmentError extends FiredrillError {
  readonly mistakes: readonly LocatedMistake[];

  constructor(file: string, mistakes: readonly LocatedMistake[]) {
    const lines = mistakes.map((each) => `  ${each.file}:${each.line}:${each.column}: ${each.what}. ${each.fix}`);
    const noun = mistakes.length === 1 ? '1 mistake' : `${mistakes.length} mistakes`;
    super({ code: 'config', where: file, what: `${noun}, nothing was touched\n${lines.join('\n')}` });
    this.mistakes = mistakes;
  }
}

/** Reads and checks `environments/NAME.yaml`. Throws an EnvironmentError with every mistake. */
export function loadEnvironment(file: string): Environment {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new FiredrillError({
      code: 'config',
      where: file,
      what: messageOf(error),
      fix: 'Name a file of environments/ without its ending, e.g. production',
      cause: error,
    });
  }
  return parseEnvironment(text, file);
}

/** The same for a text; `file` is for messages, and its base name must be the environment's name. */
export function parseEnvironment(text: string, file: string): Environment {
  const counter = new LineCounter();
  const document = parseDocument(text, { lineCounter: counter, prettyErrors: false });
  const syntax = document.errors.map((error) => {
    const { line, col } = counter.linePos(error.pos[0]);
    return { file, line, column: col, what: error.message, fix: 'Correct the YAML' };
  });
  if (syntax.length > 0) throw new EnvironmentError(file, syntax);
  const mistakes = [...findMistakes(document.toJS()), ...nameMistakes(document.toJS(), file)];
  if (mistakes.length > 0) {
    const located = mistakes.map((mistake) => ({
      file,
      ...locate(document, counter, mistake),
      what: mistake.what,
      fix: mistake.fix,
    }));
    throw new EnvironmentError(
      file,
      located.sort((a, b) => a.line - b.line || a.column - b.column),
    );
  }
  return environmentSchema.parse(document.toJS());
}

/** One annotation at each wrong line, for a caller that then throws. */
export function annotate(error: unknown, log: Log): void {
  if (!(error instanceof EnvironmentError)) return;
  for (const each of error.mistakes) log.error(`${each.what}. ${each.fix}`, each);
}

function findMistakes(value: unknown): Mistake[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return [{ path: [], what: 'the file holds no mapping', fix: 'Start from environments/production.yaml' }];
  }
  const input = value as Record<string, unknown>;
  const whole = environmentSchema.safeParse(input);
  const own = whole.success ? [] : mistakesOf(whole.error, input);
  return [...own, ...crossChecks(parseSections(input))];
}

/** Section by section and key by key, so that a mistake in one place hides no rule about another. */
function parseSections(input: Record<string, unknown>): ParsedSections {
  const parsed: Record<string, unknown> = {};
  for (const [key, schema] of Object.entries(sections)) {
    if (key === 'nodes') continue;
    const result = schema.safeParse(input[key]);
    parsed[key] = result.success ? result.data : withoutMistakes(schema, input[key]);
  }
  if (Array.isArray(input.nodes)) parsed.nodes = input.nodes.map((node) => nodeSchema.safeParse(node).data);
  parsed.isShared = (input.haproxy as { shared?: unknown } | undefined)?.shared !== undefined;
  return parsed as ParsedSections;
}

/** What remains of a section when the keys with mistakes are left out: their defaults, or nothing when that is no section either. */
function withoutMistakes(schema: z.ZodType, value: unknown): unknown {
  const issues = schema.safeParse(value).error?.issues ?? [];
  if (typeof value !== 'object' || value === null) return undefined;
  const wrong = new Set(
    issues.flatMap((issue) => (issue.code === 'unrecognized_keys' ? issue.keys : [String(issue.path[0])])),
  );
  const rest = Object.fromEntries(Object.entries(value).filter(([key]) => !wrong.has(key)));
  return schema.safeParse(rest).data;
}

function nameMistakes(value: unknown, file: string): Mistake[] {
  const expected = basename(file).replace(/\.ya?ml$/, '');
  const name = (value as { name?: unknown } | null)?.name;
  if (typeof name !== 'string' || name === expected) return [];
  return [
    {
      path: ['name'],
      what: `the file is called ${expected} but names the environment ${name}`,
      fix: `Write \`name: ${expected}\``,
    },
  ];
}

/** Where the mistake's path, or the nearest part of it that exists, stands. For an unknown key that is the key itself. */
function locate(document: Document, counter: LineCounter, mistake: Mistake): { line: number; column: number } {
  for (let length = mistake.path.length; length >= 0; length -= 1) {
    const offset = offsetOf(document, mistake.path.slice(0, length));
    if (offset === undefined) continue;
    const { line, col } = counter.linePos(offset);
    return { line, column: col };
  }
  return { line: 1, column: 1 };
}

function offsetOf(document: Document, path: readonly (string | number)[]): number | undefined {
  if (path.length === 0) return isNode(document.contents) ? document.contents.range?.[0] : undefined;
  const parent = path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true);
  const last = path.at(-1);
  if (isMap(parent)) {
    const key = parent.items.find((pair) => String(pair.key) === String(last))?.key;
    return isNode(key) ? key.range?.[0] : undefined;
  }
  const node = document.getIn(path, true);
  return isNode(node) ? node.range?.[0] : undefined;
}
