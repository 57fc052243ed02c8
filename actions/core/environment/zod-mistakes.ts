import type { z } from 'zod';
import type { Mistake } from './checks.ts';
import { environmentSchema } from './schema.ts';

/** Zod's issues as mistakes with a fix each. `input` is what was parsed, to quote the wrong value. */
export function mistakesOf(error: z.ZodError, input: unknown): Mistake[] {
  return error.issues.flatMap((issue) => mistakesOfIssue(issue, input));
}

function mistakesOfIssue(issue: z.core.$ZodIssue, input: unknown): Mistake[] {
  const path = issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part));
  const name = path.length === 0 ? 'the file' : dotted(path);
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({
        path: [...path, key],
        what: `unknown key ${dotted([...path, key])}`,
        fix: unknownKeyFix(path, key),
      }));
    case 'invalid_key':
      return [{ path, what: `unknown key ${name}`, fix: issue.issues.map((each) => each.message).join('; ') }];
    case 'invalid_value':
      return [
        {
          path,
          what: `${name} is ${quote(at(input, path))}`,
          fix: issue.message.startsWith('Invalid')
            ? `Use one of ${issue.values.map(String).join(', ')}`
            : capital(issue.message),
        },
      ];
    case 'invalid_type': {
      const value = at(input, path);
      if (value === undefined) return [{ path, what: `${name} is missing`, fix: `Add it (${wanted(issue)})` }];
      return [{ path, what: `${name} is ${quote(value)}`, fix: capital(wanted(issue)) }];
    }
    default:
      return [{ path, what: `${name} is ${quote(at(input, path))}`, fix: capital(issue.message) }];
  }
}

/** A duration's own message says how to write it; elsewhere the type says enough. */
function wanted(issue: z.core.$ZodIssueInvalidType): string {
  return issue.message.startsWith('Invalid input') ? `a value of type ${issue.expected}` : issue.message;
}

function unknownKeyFix(path: readonly (string | number)[], key: string): string {
  const known = keysAt(path);
  const nearest = known
    .map((each) => ({ each, distance: editDistance(each.toLowerCase(), key.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance)[0];
  if (nearest !== undefined && nearest.distance <= Math.max(2, key.length / 3)) return `Did you mean ${nearest.each}?`;
  return known.length === 0 ? 'Remove it' : `Known keys here: ${known.join(', ')}`;
}

/** The keys that the schema knows at a path, read from its JSON Schema form (which has no wrappers to look through). */
function keysAt(path: readonly (string | number)[]): string[] {
  let schema = environmentSchema.toJSONSchema({ io: 'input' }) as JsonSchema | undefined;
  for (const part of path) schema = typeof part === 'number' ? schema?.items : schema?.properties?.[part];
  return Object.keys(schema?.properties ?? {});
}

interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
}

function at(input: unknown, path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>((value, part) => (value as Record<string | number, unknown> | undefined)?.[part], input);
}

function dotted(path: readonly (string | number)[]): string {
  return path.reduce<string>(
    (text, part) => (typeof part === 'number' ? `${text}[${part}]` : text === '' ? part : `${text}.${part}`),
    '',
  );
}

function quote(value: unknown): string {
  return JSON.stringify(value) ?? 'missing';
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Levenshtein's distance. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, substitution));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
