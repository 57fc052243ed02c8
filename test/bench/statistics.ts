/**
 * The middle value; of an even count the mean of the two in the middle. Throws for no values and for what is no number: no
 * figure is made up.
 */
export function median(values: readonly number[]): number {
  if (!values.every(Number.isFinite)) throw new Error(`a figure is missing: ${values.join(', ')}`);
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.ceil(sorted.length / 2) - 1];
  if (upper === undefined || lower === undefined) throw new Error('the median of nothing');
  return (lower + upper) / 2;
}

/** What `of` says of each, its median. */
export function medianOf<T>(items: readonly T[], of: (item: T) => number): number {
  return median(items.map(of));
}
