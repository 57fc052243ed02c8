import type { Operation } from '../../actions/core/history/operation.ts';

/** `12 x write 503`, the most frequent first. Pure. */
export function mostFrequent(failures: readonly Pick<Operation, 'op' | 'status' | 'error'>[]): string[] {
  const counts = new Map<string, number>();
  for (const each of failures) {
    const what = `${each.op} ${each.error ?? each.status ?? ''}`;
    counts.set(what, (counts.get(what) ?? 0) + 1);
  }
  return [...counts].sort((a, b) => b[1] - a[1]).map(([what, times]) => `${times} x ${what}`);
}
