/** A fact as facts.sh prints it. */
export function fact(name: string, out: string, code = 0): string {
  return `mark ${name}\n${out}\nmark:${code}`;
}

/** What facts.sh prints as a whole. */
export function told(...facts: readonly string[]): string {
  return ['mark', ...facts, ''].join('\n');
}
