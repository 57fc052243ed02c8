// npm run draw -- [FILE.md...]: draws a drill's report as GitHub shows it, beside the file. By default what the lab's last drill left.
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { messageOf } from '../../actions/core/errors.ts';
import { ensureReady } from '../lab/machines/preflight.ts';
import { lab } from '../lab/paths.ts';
import { draw } from './chromium.ts';

try {
  const { positionals } = parseArgs({ allowPositionals: true });
  const files = positionals.length === 0 ? ['out/pull-request.md'] : positionals;
  await ensureReady(lab, (line) => console.log(line));
  for (const file of files) {
    const picture = file.replace(/\.md$/, '.png');
    if (picture === file) throw new Error(`${file} is no Markdown file`);
    writeFileSync(picture, await draw(readFileSync(file, 'utf8'), file, (line) => console.log(line)));
    console.log(picture);
  }
} catch (error) {
  console.error(messageOf(error));
  process.exitCode = 1;
}
