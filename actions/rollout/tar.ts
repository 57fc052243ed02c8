import { buffer } from 'node:stream/consumers';
import { pack } from 'tar-stream';

export interface TarEntry {
  /** Relative. */
  readonly path: string;
  readonly content: Buffer;
  /** e.g. 0o600 */
  readonly mode: number;
}

/** An archive of regular files: sorted by path, time 0, owner 0, so the same entries give the same bytes. */
export async function tar(entries: readonly TarEntry[]): Promise<Buffer> {
  const archive = pack();
  const sorted = [...entries].sort((a, b) => (a.path < b.path ? -1 : 1));
  for (const { path, content, mode } of sorted) archive.entry({ name: path, mode, mtime: new Date(0) }, content);
  archive.finalize();
  return await buffer(archive);
}
