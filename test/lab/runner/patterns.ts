/** Whether a branch or tag name passes a list of filter patterns; the last pattern that matches decides, `!` takes away. */
export function matchesFilter(name: string, patterns: readonly string[]): boolean {
  let matched = false;
  for (const pattern of patterns) {
    if (pattern.startsWith('!')) {
      if (toRegExp(pattern.slice(1)).test(name)) matched = false;
    } else if (toRegExp(pattern).test(name)) matched = true;
  }
  return matched;
}

/** GitHub's filter syntax: `*` within a segment, `**` across, `?` and `+` repeat what is before them, `[]` a class. */
function toRegExp(pattern: string): RegExp {
  const source = pattern.replace(/\*\*|\*|\\.|[.^$(){}|/]/g, (found) => {
    if (found === '**') return '.*';
    if (found === '*') return '[^/]*';
    return found.startsWith('\\') ? found : `\\${found}`;
  });
  return new RegExp(`^${source}$`);
}
