import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { stateDir } from './paths.ts';

/** What a repository has under Settings > Secrets, made anew with each lab. */
export interface LabSecrets {
  readonly FIREDRILL_SECRET: string;
  readonly LINODE_TOKEN: string;
  readonly GITHUB_TOKEN: string;
}

/** The running lab's secrets, or new ones. Readable by root only; gone with the lab. */
export function labSecrets(): LabSecrets {
  const file = `${stateDir}/secrets.json`;
  if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8')) as LabSecrets;
  const secrets = {
    FIREDRILL_SECRET: randomBytes(32).toString('hex'),
    LINODE_TOKEN: randomBytes(32).toString('hex'),
    GITHUB_TOKEN: `ghs_${randomBytes(18).toString('hex')}`,
  };
  mkdirSync(stateDir, { recursive: true });
  writeFileSync(file, JSON.stringify(secrets), { mode: 0o600 });
  return secrets;
}
