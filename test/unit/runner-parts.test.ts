import { describe, expect, it } from 'vitest';
import { evaluate, type Scope } from '../lab/runner/expressions.ts';
import { parsePairs } from '../lab/runner/file-commands.ts';
import { needsFunctions } from '../lab/runner/functions.ts';
import { createMasks } from '../lab/runner/masks.ts';
import { matchesFilter } from '../lab/runner/patterns.ts';

const scope: Scope = {
  contexts: { a: { text: 'x', no: null, number: 3, list: [1, 2] }, b: {} },
  functions: needsFunctions(
    new Map([
      ['build', 'success'],
      ['test', 'failure'],
    ]),
    false,
  ),
};
const value = (text: string): unknown => evaluate({ value: text, at: 'f:1:1' }, scope);

describe('an expression', () => {
  it.each([
    ['plain', 'plain'],
    ['${{ a.number }}', 3],
    ['${{ a.list }}', [1, 2]],
    ['${{ a.no }}', null],
    ['<${{ a.no }}${{ a.missing.deeper }}>', '<>'],
    ['${{ a.text }}-${{ a.number }}', 'x-3'],
    ["${{ format('}}{0}', a.text) }}", '}x'],
    ["${{ b.x || a.text || 'z' }}", 'x'],
    ["${{ failure() && success('build') && !success() }}", true],
    ['${{ a.number > 2 && true }}', true],
  ])('%s', (text, expected) => expect(value(text)).toEqual(expected));

  it.each(['${{ a.text', '${{ c.text }}', '${{ nope() }}'])('%s is an error with its place', (text) => {
    expect(() => value(text)).toThrow(/^f:1:1: /);
  });
});

describe('a branch filter', () => {
  it.each([
    ['main', ['main'], true],
    ['main2', ['main'], false],
    ['release/1.2', ['release/**'], true],
    ['release/1/2', ['release/*'], false],
    ['v1.0', ['v[0-9].*'], true],
    ['topic', ['**', '!topic'], false],
    ['a.b', ['a?b'], false],
  ])('%s with %j: %s', (name, patterns, expected) => expect(matchesFilter(name, patterns)).toBe(expected));
});

describe('a command file', () => {
  it('has name=value lines and blocks with a delimiter', () => {
    const text = 'a=1\r\nb=x=y\n\nc<<END\none\n\ntwo=2\nEND\nd=\ne=k<<v\n';
    expect(parsePairs('F', text)).toEqual({ a: '1', b: 'x=y', c: 'one\n\ntwo=2', d: '', e: 'k<<v' });
  });

  it.each(['rubbish', 'a<<END\nno end', '=x'])('%j is malformed', (text) => {
    expect(() => parsePairs('F', text)).toThrow(/\$F/);
  });
});

describe('masks', () => {
  it('cover each line of a value, JSON and URL forms, and take the longest first', () => {
    const masks = createMasks(['one two\nthree"four', 'one', '', '  ']);
    expect(masks.apply('one two | three"four | three\\"four | one%20two | one | other')).toBe(
      '*** | *** | *** | *** | *** | other',
    );
    expect(masks.hides('x one y')).toBe(true);
    expect(masks.hides('x y')).toBe(false);
  });
});
