export interface TarEntry {
  /** Relative, at most 255 characters. */
  readonly path: string;
  readonly content: Buffer;
  /** e.g. 0o600 */
  readonly mode: number;
}

const block = 512;

/** A POSIX ustar archive of regular files: sorted by path, time 0, owner 0, so the same entries give the same bytes. */
export function tar(entries: readonly TarEntry[]): Buffer {
  const sorted = [...entries].sort((a, b) => (a.path < b.path ? -1 : 1));
  const parts = sorted.flatMap((entry) => {
    const padding = Buffer.alloc((block - (entry.content.length % block)) % block);
    return [header(entry), entry.content, padding];
  });
  return Buffer.concat([...parts, Buffer.alloc(2 * block)]);
}

function header(entry: TarEntry): Buffer {
  const { name, prefix } = splitPath(entry.path);
  const head = Buffer.alloc(block);
  head.write(name, 0, 100);
  head.write(`${octal(entry.mode, 7)}\0`, 100);
  head.write(`${octal(0, 7)}\0`, 108);
  head.write(`${octal(0, 7)}\0`, 116);
  head.write(`${octal(entry.content.length, 11)}\0`, 124);
  head.write(`${octal(0, 11)}\0`, 136);
  head.write('        ', 148);
  head.write('0', 156);
  head.write('ustar\x0000', 257);
  head.write(prefix, 345, 155);
  const sum = head.reduce((total, byte) => total + byte, 0);
  head.write(`${octal(sum, 6)}\0 `, 148);
  return head;
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, '0');
}

/** A long path is cut at a slash into prefix (155) and name (100). */
function splitPath(path: string): { name: string; prefix: string } {
  if (path.length <= 100) return { name: path, prefix: '' };
  const cut = path.indexOf('/', path.length - 101);
  if (cut === -1 || cut > 155) throw new RangeError(`path too long for an archive: ${path}`);
  return { name: path.slice(cut + 1), prefix: path.slice(0, cut) };
}
