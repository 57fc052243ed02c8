import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { buildFor } from './build.ts';

const build = await buildFor('firedrill-c', ['build-deps.txt', 'test-deps.txt']);

describe('the C service', () => {
  test('passes its cmocka suites under the address and undefined behaviour sanitizers', async () => {
    const { code, output } = await build.make('test');
    expect(code, output).toBe(0);
    expect(output).toMatch(/\[ {2}PASSED {2}\] \d+ test/);
  });

  test('frames requests behind HAProxy as it does alone, and answers others while some clients are hostile', async () => {
    const { code, output } = await build.make('test-integration');
    expect(code, output).toBe(0);
  });

  test('is a small, hardened, stripped binary without third-party source', async () => {
    const { code, output } = await build.make('BUILD=build-release');
    expect(code, output).toBe(0);
    const binary = readFileSync(join(build.source, 'build-release/sessiond'));
    expect(binary.subarray(0, 4).toString('latin1')).toBe('\x7fELF');
    // Position independent: ET_DYN.
    expect(binary.readUInt16LE(16)).toBe(3);
    expect(binary.length).toBeLessThan(200_000);
  });
});
