import { describe, expect, it } from 'vitest';
import type { Trouble } from '../../actions/core/health.ts';
import { gateBegins, judge } from '../../actions/rollout/gates.ts';

const rule = { successes: 3, healthyMs: 250, healthDeadlineMs: 1000, progressDeadlineMs: 300 };
const trouble = (condition: Trouble['condition'], done?: number): Trouble => ({
  condition,
  what: 'x',
  ...(done === undefined ? {} : { done }),
});

/** A look each 100 ms, the last one again and again: at which of them the gate ended, and how. */
function ends(...looks: (Trouble | undefined)[]): string {
  let state = gateBegins;
  for (let at = 0; at < 5000; at += 100) {
    const judged = judge(state, at, looks[Math.min(at / 100, looks.length - 1)], rule);
    state = judged.state;
    if (judged.verdict !== 'wait') return `${judged.verdict} at ${at}`;
  }
  return 'never';
}

describe('a gate', () => {
  it('wants so many good looks in a row over so long a time', () => {
    expect(ends(undefined)).toBe('passed at 300');
  });

  it('begins again after any flap', () => {
    expect(ends(undefined, undefined, trouble('unhealthy'), undefined)).toBe('passed at 600');
  });

  it('ends early when nothing gets better', () => {
    expect(ends(trouble('dead'))).toBe('stuck at 300');
    expect(ends(trouble('dead'), trouble('starting'), trouble('unhealthy'))).toBe('stuck at 500');
  });

  it('does not take a crash loop for progress', () => {
    const loop = Array.from({ length: 40 }, (_, index) => trouble(index % 2 === 0 ? 'dead' : 'starting'));
    expect(ends(...loop)).toBe('stuck at 400');
  });

  it('waits as long as data is read, until the health deadline', () => {
    const reading = (count: number) => Array.from({ length: count }, (_, index) => trouble('loading', index));
    expect(ends(...reading(6), undefined)).toBe('passed at 900');
    expect(ends(...reading(40))).toBe('late at 1000');
  });

  it('does not fail whoever became well in time', () => {
    expect(ends(...Array.from({ length: 9 }, (_, index) => trouble('loading', index)), undefined)).toBe(
      'passed at 1200',
    );
  });

  it('gives whoever was well and lost it the time to be so again, and not more', () => {
    expect(ends(undefined, trouble('unhealthy'))).toBe('stuck at 400');
  });
});
