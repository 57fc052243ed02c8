import { data, Evaluator, Lexer, Parser } from '@actions/expressions';
import type { FunctionDefinition } from '@actions/expressions/funcs/info';
import { FiredrillError, messageOf } from '../../../actions/core/errors.ts';
import type { Scalar } from './yaml.ts';

/** Everything an expression can see: named contexts as plain data, and functions beyond the built-in ones. */
export interface Scope {
  readonly contexts: Readonly<Record<string, unknown>>;
  readonly functions: readonly FunctionDefinition[];
}

/** A scalar with its `${{ }}` filled in: the expression's own type when it is nothing but one, else a string. */
export function evaluate(scalar: Scalar, scope: Scope): unknown {
  if (typeof scalar.value !== 'string') return scalar.value;
  const parts = split(scalar.value, scalar.at);
  const [only] = parts;
  if (parts.length === 1 && only?.expression === true) return toPlain(run(only.text, scope, scalar.at));
  return parts.map((part) => (part.expression ? run(part.text, scope, scalar.at).coerceString() : part.text)).join('');
}

/** The same as a string, the way GitHub writes values into env, with and run: null is empty, objects are an error. */
export function evaluateText(scalar: Scalar, scope: Scope): string {
  const value = evaluate(scalar, scope);
  if (value === null || value === undefined) return '';
  if (typeof value === 'object') {
    throw new FiredrillError({ code: 'config', what: 'an object where a string was expected', where: scalar.at });
  }
  return String(value);
}

export function evaluateAll(scalars: Readonly<Record<string, Scalar>>, scope: Scope): Record<string, string> {
  return Object.fromEntries(Object.entries(scalars).map(([key, scalar]) => [key, evaluateText(scalar, scope)]));
}

/** Whether a whole expression (no `${{ }}`) is true. */
export function evaluateCondition(expression: string, scope: Scope, at: string): boolean {
  return isTrue(run(expression, scope, at));
}

/** A number of minutes as milliseconds. Throws when it isn't a positive number. */
export function evaluateMinutes(scalar: Scalar, scope: Scope): number {
  const minutes = Number(evaluate(scalar, scope));
  if (!(minutes > 0)) throw new FiredrillError({ code: 'config', what: 'not a number of minutes', where: scalar.at });
  return minutes * 60_000;
}

function run(expression: string, scope: Scope, at: string): data.ExpressionData {
  try {
    const tree = new Parser(new Lexer(expression).lex().tokens, Object.keys(scope.contexts), [
      ...scope.functions,
    ]).parse();
    const contexts = JSON.parse(JSON.stringify(scope.contexts), data.reviver) as data.Dictionary;
    const functions = new Map(scope.functions.map((definition) => [definition.name.toLowerCase(), definition]));
    return new Evaluator(tree, contexts, functions).evaluate();
  } catch (error) {
    throw new FiredrillError({
      code: 'config',
      what: `\${{ ${expression.trim()} }}: ${messageOf(error)}`,
      where: at,
      cause: error,
    });
  }
}

interface Part {
  readonly text: string;
  readonly expression: boolean;
}

/** Cuts a string at `${{ }}`; a `}}` inside a quoted string does not close. */
function split(text: string, at: string): Part[] {
  const parts: Part[] = [];
  let rest = text;
  for (;;) {
    const open = rest.indexOf('${{');
    if (open < 0) {
      if (rest !== '' || parts.length === 0) parts.push({ text: rest, expression: false });
      return parts;
    }
    const body = /^(?:'(?:[^']|'')*'|(?!\}\})[^'])*/.exec(rest.slice(open + 3))?.[0] ?? '';
    const end = open + 3 + body.length;
    if (!rest.startsWith('}}', end)) throw new FiredrillError({ code: 'config', what: '${{ without }}', where: at });
    if (open > 0) parts.push({ text: rest.slice(0, open), expression: false });
    parts.push({ text: body, expression: true });
    rest = rest.slice(end + 2);
    if (rest === '') return parts;
  }
}

function toPlain(value: data.ExpressionData): unknown {
  return JSON.parse(JSON.stringify(value, data.replacer) ?? 'null');
}

function isTrue(value: data.ExpressionData): boolean {
  const plain = toPlain(value);
  return typeof plain === 'object' ? plain !== null : Boolean(plain);
}
