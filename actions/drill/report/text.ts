/** `1,432 ms`, whole ones; a dash for what was not measured. */
export function ms(value: number | null): string {
  return value === null ? '-' : `${count(Math.round(value))} ms`;
}

export function count(value: number): string {
  return value.toLocaleString('en-US');
}

export function plural(value: number, noun: string): string {
  return value === 1 ? `1 ${noun}` : `${count(value)} ${noun}s`;
}

/** Text of others inside Markdown: one line, no HTML, no mention of anybody, no end of a table cell. */
export function plain(text: string): string {
  return text
    .replace(/\s+/g, ' ')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('|', '\\|')
    .replaceAll('@', '@\u200b');
}

export function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}
