const MASK = '***';

/** Values that must not be printed. Secrets are in from the start; `::add-mask::` adds more. */
export interface Masks {
  add(value: string): void;
  apply(line: string): string;
  /** Whether the text holds a masked value: such an output does not leave its job. */
  hides(text: string): boolean;
}

export function createMasks(values: readonly string[]): Masks {
  const masked = new Set<string>();
  let ordered: string[] = [];
  const add = (value: string): void => {
    for (const form of forms(value)) masked.add(form);
    ordered = [...masked].sort((a, b) => b.length - a.length);
  };
  const apply = (line: string): string => ordered.reduce((text, value) => text.replaceAll(value, MASK), line);
  for (const value of values) add(value);
  return { add, apply, hides: (text) => ordered.some((value) => text.includes(value)) };
}

/**
 * A value, each of its lines, and how it looks in base64 (at any of the three offsets), JSON and a URL: GitHub's runner masks the same.
 * Whitespace alone is left: masking it would destroy the log.
 */
function forms(value: string): string[] {
  const lines = [value, ...value.split(/\r?\n/)].map((line) => line.trim()).filter((line) => line !== '');
  return lines.flatMap((line) => [
    line,
    JSON.stringify(line).slice(1, -1),
    encodeURIComponent(line),
    ...[0, 1, 2].map((shift) => base64(line, shift)).filter((text) => text.length >= 8),
  ]);
}

function base64(value: string, shift: number): string {
  const bytes = Buffer.from(value).subarray(shift);
  const whole = bytes.subarray(0, bytes.length - (bytes.length % 3));
  return (shift === 0 ? bytes : whole).toString('base64');
}
