/** Lines that differ, `-` before and `+` after, with `context` lines around them and `...` where some are left out. Pure. */
export function diffLines(before: string, after: string, context = 1): string[] {
  const marked = mark(before.split('\n'), after.split('\n'));
  const near = marked.map((_, index) =>
    marked.slice(Math.max(0, index - context), index + context + 1).some((line) => !line.startsWith(' ')),
  );
  return marked.flatMap((line, index) => {
    if (near[index]) return [line];
    return near[index - 1] ? ['...'] : [];
  });
}

/** The longest common subsequence keeps its lines; quadratic, which configuration files can bear. */
function mark(a: readonly string[], b: readonly string[]): string[] {
  const lengths = Array.from({ length: a.length + 1 }, () => new Uint32Array(b.length + 1));
  const at = (i: number, j: number) => lengths[i]?.[j] ?? 0;
  for (let i = a.length - 1; i >= 0; i -= 1)
    for (let j = b.length - 1; j >= 0; j -= 1) {
      const row = lengths[i];
      if (row !== undefined) row[j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  const result: string[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      result.push(`  ${a[i]}`);
      i += 1;
      j += 1;
    } else if (j >= b.length || (i < a.length && at(i + 1, j) >= at(i, j + 1))) {
      result.push(`- ${a[i]}`);
      i += 1;
    } else {
      result.push(`+ ${b[j]}`);
      j += 1;
    }
  }
  return result;
}
