import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { clone } from '../lab/paths.ts';
import { buildFor } from './build.ts';

// A root of its own: clang is large, and only these tests need it.
const build = await buildFor('firedrill-fuzz', ['build-deps.txt', 'fuzz-deps.txt']);
const targets = readdirSync(join(clone, 'c-app/fuzz')).flatMap((file) => /^(.+)\.c$/.exec(file)?.[1] ?? []);

describe('the C service', () => {
  test.each(targets)('withstands a million inputs to its fuzz target %s', async (target) => {
    const { code, output } = await build.make('RUNS=1000000', `fuzz-smoke-${target}`);
    expect(code, output).toBe(0);
    expect(output).toMatch(/number_of_executed_units: 1000\d{3}\b/);
  });
});
