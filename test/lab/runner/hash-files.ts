import { createHash } from 'node:crypto';
import { globSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/**
 * GitHub's hashFiles(): SHA-256 over the SHA-256 of every file that matches, in the order of their paths; '' when none does.
 * A pattern that starts with `!` takes files away again.
 */
export function hashFiles(workspace: string, patterns: readonly string[]): string {
  const found = new Set<string>();
  for (const pattern of patterns.flatMap((text) => text.split('\n')).map((line) => line.trim())) {
    if (pattern === '' || pattern.startsWith('#')) continue;
    const negative = pattern.startsWith('!');
    for (const path of globSync(negative ? pattern.slice(1) : pattern, { cwd: workspace })) {
      if (negative) found.delete(path);
      else if (statSync(join(workspace, path), { throwIfNoEntry: false })?.isFile()) found.add(path);
    }
  }
  if (found.size === 0) return '';
  const whole = createHash('sha256');
  for (const path of [...found].sort()) {
    whole.update(
      createHash('sha256')
        .update(readFileSync(join(workspace, path)))
        .digest(),
    );
  }
  return whole.digest('hex');
}
