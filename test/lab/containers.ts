import { readArtifacts } from './artifacts.ts';
import { runInBuildRoot } from './machines/build-root.ts';
import { lab } from './paths.ts';
import type { Containers } from './runner/index.ts';

/** Jobs with `container:` run in the build root: the same Debian, with the build's packages installed when the lab was prepared. */
export function buildRootContainers(): Containers {
  return {
    images: { 'debian:trixie': readArtifacts().buildRoot },
    run: async (spec) => {
      const code = await runInBuildRoot(lab, {
        root: spec.root,
        argv: spec.argv,
        cwd: spec.cwd,
        env: spec.env,
        binds: spec.binds.map((bind) => ({ source: bind.path, target: bind.path, readonly: bind.readOnly })),
        timeoutMs: spec.timeoutMs,
        onLine: spec.onLine,
        signal: spec.signal,
      });
      return { code };
    },
  };
}
