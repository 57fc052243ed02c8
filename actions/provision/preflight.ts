import type { Environment } from '../core/environment/schema.ts';
import { FiredrillError } from '../core/errors.ts';
import type { LinodeApi } from '../core/linode/api.ts';
import { LinodeError } from '../core/linode/errors.ts';

/** Asked before anything is created: whether region and image can do what a node needs. Throws a FiredrillError (`config`). */
export async function preflight(environment: Environment, api: LinodeApi): Promise<void> {
  const { region, image } = environment.linode;
  const [offer, source] = await Promise.all([
    known(`linode.region ${region}`, api.getRegion(region)),
    known(`linode.image ${image}`, api.getImage(image)),
  ]);
  const vlan = environment.network.vlan === undefined ? [] : ['Vlans'];
  const missing = ['Linodes', 'VPCs', 'Metadata', 'Cloud Firewall', ...vlan].filter(
    (capability) => !offer.capabilities.some((each) => each === capability),
  );
  if (missing.length > 0) {
    throw new FiredrillError({
      code: 'config',
      where: `linode.region ${region}`,
      what: `the region does not offer ${missing.join(', ')}`,
      fix: 'Choose a region that does',
    });
  }
  if (!source.capabilities.some((each) => each === 'cloud-init')) {
    throw new FiredrillError({
      code: 'config',
      where: `linode.image ${image}`,
      what: 'the image has no cloud-init',
      fix: 'Use linode/debian13',
    });
  }
}

async function known<T>(where: string, found: Promise<T>): Promise<T> {
  try {
    return await found;
  } catch (error) {
    if (!(error instanceof LinodeError) || error.status !== 404) throw error;
    throw new FiredrillError({
      code: 'config',
      where,
      what: 'Linode does not have that',
      fix: 'Correct the environment file; the Cloud Manager lists what there is',
      cause: error,
    });
  }
}
