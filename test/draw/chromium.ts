import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { FiredrillError } from '../../actions/core/errors.ts';
import { ensureBuildRoot, runInBuildRoot } from '../lab/machines/build-root.ts';
import { cacheDir, lab, stateDir } from '../lab/paths.ts';
import { pageOf, width } from './page.ts';

const packages = ['chromium', 'fonts-liberation'];
const timeoutMs = 120_000;
/** Of the page's own clock: Mermaid draws within it (ms). */
const drawingMs = 20_000;

/** Draws a comment's Markdown as a PNG. Throws a FiredrillError when Mermaid or the browser fail. Needs root, as the lab does. */
export async function draw(markdown: string, title: string, log: (line: string) => void): Promise<Buffer> {
  const root = await ensureBuildRoot(cacheDir, packages, log);
  mkdirSync(stateDir, { recursive: true });
  const folder = mkdtempSync(`${stateDir}/draw-`);
  try {
    writeFileSync(`${folder}/page.html`, await pageOf(markdown, title));
    const browse = (...args: string[]): Promise<string> => chromium(root, folder, args);
    const page = await browse('--dump-dom');
    const failed = /<body[^>]* data-failed="([^"]*)"/.exec(page)?.[1];
    const height = /<body[^>]* data-height="(\d+)"/.exec(page)?.[1];
    if (failed !== undefined) throw new FiredrillError({ code: 'config', where: title, what: `Mermaid: ${failed}` });
    if (height === undefined)
      throw new FiredrillError({ code: 'timeout', where: title, what: `nothing was drawn within ${drawingMs} ms` });
    await browse('--screenshot=/draw/page.png', `--window-size=${width + 32},${height}`);
    return readFileSync(`${folder}/page.png`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs the browser without a window, as root in its own root: the page is ours, and reaches nothing. Gives what it printed. */
async function chromium(root: string, folder: string, args: readonly string[]): Promise<string> {
  const lines: string[] = [];
  const plain = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--hide-scrollbars'];
  const code = await runInBuildRoot(lab, {
    root,
    binds: [{ source: folder, target: '/draw' }],
    cwd: '/draw',
    env: { HOME: '/tmp' },
    argv: ['chromium', ...plain, `--virtual-time-budget=${drawingMs}`, ...args, 'file:///draw/page.html'],
    timeoutMs,
    onLine: (line) => lines.push(line),
  });
  if (code === 0) return lines.join('\n');
  throw new FiredrillError({
    code: 'remote',
    where: 'chromium',
    what: `ended with ${code}: ${lines.slice(-3).join('; ')}`,
  });
}
