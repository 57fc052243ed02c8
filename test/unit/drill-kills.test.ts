import { describe, expect, test } from 'vitest';
import { killedScenarios, momentsOf } from '../drill-kills/moments.ts';

describe('the moments at which drills are killed', () => {
  test('are the same for the same seed, and others for another', () => {
    expect(momentsOf(7, 20, killedScenarios)).toEqual(momentsOf(7, 20, killedScenarios));
    expect(momentsOf(8, 20, killedScenarios)).not.toEqual(momentsOf(7, 20, killedScenarios));
  });

  test('lie in every part of the drill, in no order, and take every scenario about as often', () => {
    for (const seed of [1, 2, 3, 4_000_000_000]) {
      const moments = momentsOf(seed, 20, killedScenarios);
      const parts = moments.map(({ share }) => Math.floor(share * 20));
      expect([...parts].sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, index) => index));
      expect(parts).not.toEqual([...parts].sort((a, b) => a - b));
      const counts = killedScenarios.map((name) => moments.filter(({ scenario }) => scenario === name).length);
      expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
    }
  });
});
