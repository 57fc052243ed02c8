import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { cacheKey, ensureArtefact } from './cache.ts';
import { run } from './exec.ts';
import { type ImageFile, imageFiles } from './image-files.ts';
import { downloadScript, writeIndex } from './mirror-index.ts';
import { bootstrapArgv, imagePackages, mirrorPackages } from './packages.ts';

export interface Image {
  /** The root that machines are overlays of. */
  readonly root: string;
  /** The folder that the package mirror serves. */
  readonly packages: string;
}

const buildTimeoutMs = 900_000;

/** Changes with everything that the image and its mirror are made from. */
export function imageKey(): string {
  return cacheKey([bootstrapArgv('ROOT', imagePackages, downloadScript('PACKAGES', mirrorPackages)), imageFiles]);
}

/**
 * The machines' image and the package mirror that belongs to it, from the cache or built (half a minute, and needs Debian's archive).
 * Both come out of one bootstrap, so the mirror holds exactly what the image lacks. apt verifies the archive's signature.
 */
export async function ensureImage(cacheDir: string, log: (line: string) => void): Promise<Image> {
  const folder = await ensureArtefact({
    cacheDir,
    kind: 'image',
    key: imageKey(),
    log,
    build: async (unfinished) => {
      log('image: building (Debian 13 and the package mirror)');
      const packages = `${unfinished}/packages`;
      mkdirSync(`${packages}/partial`, { recursive: true });
      const hook = downloadScript(packages, mirrorPackages);
      await bootstrap(unfinished, bootstrapArgv(`${unfinished}/root`, imagePackages, hook));
      writeFiles(`${unfinished}/root`, imageFiles);
      writeIndex(packages);
    },
  });
  return { root: `${folder}/root`, packages: `${folder}/packages` };
}

/**
 * Runs mmdebstrap for an artefact whose folder is `unfinished`: there goes what it needs for the while, so that a killed one leaves
 * nothing elsewhere. Its own words say what went wrong; the usual reasons are named.
 */
export async function bootstrap(unfinished: string, argv: readonly string[]): Promise<void> {
  const scratch = `${unfinished}/tmp`;
  mkdirSync(scratch, { mode: 0o755 });
  await run(argv, {
    timeoutMs: buildTimeoutMs,
    env: { ...process.env, TMPDIR: scratch },
    fix: "This needs Debian's archive (deb.debian.org, or through the proxy in apt's configuration). If a public key is missing, install debian-archive-keyring 2023.3 or newer",
  });
  rmSync(scratch, { recursive: true });
}

function writeFiles(root: string, files: readonly ImageFile[]): void {
  for (const file of files) {
    const path = `${root}/${file.path}`;
    // Also when it is a link: what it points at may be the host's.
    rmSync(path, { force: true });
    if ('absent' in file) continue;
    mkdirSync(dirname(path), { recursive: true });
    if ('link' in file) symlinkSync(file.link, path);
    else writeFileSync(path, file.text);
  }
}
