import type { Role } from '../core/environment/schema.ts';
import type { ApplyWay, Checker } from './role.ts';

export interface ReleaseFile {
  readonly path: string;
  readonly owner: string;
  readonly group: string;
  readonly mode: string;
  readonly apply: ApplyWay;
  readonly unit: string | undefined;
  readonly checker: Checker | undefined;
  readonly sha256: string;
  readonly content: Buffer;
  /** The template it was made from, with the template's line for each of its lines; undefined for a binary. */
  readonly template: { readonly file: string; readonly lines: readonly number[] } | undefined;
}

export interface ReleasePackage {
  readonly name: string;
  /** The upstream version, e.g. 8.0.2; undefined when any will do. */
  readonly version: string | undefined;
}

/** All that a node gets. The digest covers everything but the seeds, which depend on who is primary when a node is made. */
export interface Release {
  readonly node: string;
  readonly roles: readonly Role[];
  readonly digest: string;
  readonly packages: readonly ReleasePackage[];
  readonly groups: readonly string[];
  readonly users: readonly { readonly name: string; readonly group: string; readonly home: string }[];
  readonly directories: readonly {
    readonly path: string;
    readonly owner: string;
    readonly group: string;
    readonly mode: string;
  }[];
  readonly units: readonly string[];
  /** Without the seeds. */
  readonly files: readonly ReleaseFile[];
  readonly seeds: readonly ReleaseFile[];
  /** Of a release that its node has kept: its manifest as it lies there. The files need not be sent then. */
  readonly kept?: string;
}
