import { FiredrillError } from '../../../actions/core/errors.ts';

/**
 * One lab on this machine. Its name is the network namespace, and with a hyphen the prefix of all that the kernel sees of its machines:
 * of two labs on one machine neither name may be the other's with something appended by a hyphen.
 */
export interface Lab {
  readonly name: string;
  /** State of the running lab, gone after `sweep`. */
  readonly stateDir: string;
  /** Image, packages and build roots, kept between runs and clones. */
  readonly cacheDir: string;
}

/** The lab's own addresses on its bridge: the first is where it serves; the second half is for the machines' public addresses. */
export const bridge = { name: 'br0', addresses: ['198.18.0.1', '198.19.0.1'], prefixLength: 16 } as const;

/** What the image's apt sources point at. */
export const mirrorAddress = { host: '198.18.0.1', port: 4030 } as const;

/** The name by which nspawn, the network namespaces and the control groups know a machine. Throws for a name that no hostname could be. */
export function machineId(lab: Lab, name: string): string {
  const id = `${lab.name}-${name}`;
  if (!/^[a-z0-9][a-z0-9-]{0,62}$/.test(id) || id.endsWith('-'))
    throw new FiredrillError({
      code: 'config',
      what: `"${name}" can't name a machine of the lab`,
      fix: 'Use up to 40 lower-case letters, digits and hyphens',
    });
  return id;
}

export function machinesDir(lab: Lab): string {
  return `${lab.stateDir}/machines`;
}

export function machineDir(lab: Lab, name: string): string {
  return `${machinesDir(lab)}/${name}`;
}
