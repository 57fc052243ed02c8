import { readFileSync, writeFileSync } from 'node:fs';
import { stateDir } from './paths.ts';

/** Where what this lab runs on lies in the cache. */
export interface Artifacts {
  /** Root of the machines' image. */
  readonly image: string;
  /** Folder that the package mirror serves. */
  readonly packages: string;
  /** Root in which the C service is built. */
  readonly buildRoot: string;
}

const file = `${stateDir}/artifacts.json`;

/** Remembers for the other processes of this lab what `prepare` made or found. */
export function writeArtifacts(artifacts: Artifacts): void {
  writeFileSync(file, JSON.stringify(artifacts));
}

export function readArtifacts(): Artifacts {
  return JSON.parse(readFileSync(file, 'utf8')) as Artifacts;
}
