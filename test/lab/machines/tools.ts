import { missingOf, needed } from '../../host/tools.mjs';

export interface Missing {
  readonly what: string;
  readonly fix: string;
  /** The package that brings it on Debian and Ubuntu. */
  readonly package?: string;
}

/** The tools and files of the host that the lab needs and that are not there. */
export function missingTools(exists?: (path: string) => boolean): Missing[] {
  const ofLab = needed.filter((each) => each.lab);
  return missingOf(ofLab, exists).map((each) => ({
    what: each.what,
    package: each.package,
    fix: `apt-get install ${each.package}`,
  }));
}
