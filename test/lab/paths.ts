import { fileURLToPath } from 'node:url';
import type { Lab } from './machines/lab.ts';

/** The clone that this lab belongs to, without a trailing slash. */
export const clone = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

/** State of the running lab: machines, secrets, the region's process. Gone after `npm run lab -- down`. */
export const stateDir = `${clone}/.lab`;

/** What a run leaves for its user. */
export const outDir = `${clone}/out`;

/** What is kept between runs and clones: the image, the build root, the packages. */
export const cacheDir = process.env.FIREDRILL_CACHE ?? '/var/cache/firedrill';

/** Node 24, as Actions runs it. */
export const nodeBinary = `${clone}/node_modules/.bin/node`;

export const environmentName = 'lab';
export const repository = { owner: 'firedrill', repo: 'lab' };

/** The one address of the lab's region in its namespace, and the ports of what it serves there. */
export const region = {
  namespace: 'firedrill-lab',
  host: '198.18.0.1',
  linodeApiPort: 4010,
  githubApiPort: 4020,
  mirrorPort: 4030,
} as const;

/** The lab as its machines' layer knows it. */
export const lab: Lab = { name: region.namespace, stateDir, cacheDir };
