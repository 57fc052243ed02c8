import { describe, expect, it } from 'vitest';
import { parseEnvironment } from '../../actions/core/environment/load.ts';
import { holderOf, holdsShared, sharedTrouble } from '../../actions/core/shared-address.ts';
import { unitsOf } from '../../actions/core/units.ts';
import { labEnvironment } from './environment-fixture.ts';
import { releaseOf, sources } from './rollout-fixture.ts';

const onLo = '1: lo    inet 192.0.2.40/32 scope global lo\\       valid_lft forever preferred_lft forever\n';
const onEth2 =
  '3: eth2    inet 192.0.2.40/24 scope global secondary eth2\\       valid_lft forever preferred_lft forever\n';

/** The lab with one load balancer, as production.yaml has it. */
function alone() {
  const text = labEnvironment.text
    .replace(/^ {2}shared: .*\n/m, '')
    .replace(/^ {2}- \{ name: lb-2.*\n/m, '')
    .replace(/^ {4}- lb-.*\n/gm, '');
  return parseEnvironment(text, 'environments/lab.yaml');
}

describe('the shared address', () => {
  it('is held by who has it on the interface, not by who has it on lo, as both do', () => {
    expect(holdsShared(onLo)).toBe(false);
    expect(holdsShared(onLo + onEth2)).toBe(true);
    expect(holdsShared('')).toBe(false);
  });

  it('is well on exactly one, as far as they could tell', () => {
    const facts = (first?: boolean, second?: boolean) =>
      new Map([
        ['lb-1', { holdsShared: first }],
        ['lb-2', { holdsShared: second }],
      ]);
    const environment = labEnvironment();
    expect(sharedTrouble(environment, facts(true, false))).toBeUndefined();
    expect(sharedTrouble(environment, facts(undefined, true))).toBeUndefined();
    expect(sharedTrouble(environment, facts(false, undefined))).toBe('nobody holds 192.0.2.40');
    expect(sharedTrouble(environment, facts(true, true))).toBe('lb-1 and lb-2 both hold 192.0.2.40');
    expect(holderOf(environment, facts(false, true))).toBe('lb-2');
    expect(sharedTrouble(alone(), facts(false, false))).toBeUndefined();
  });

  it('is spoken of by keepalived on both load balancers, each to the other', () => {
    const text = (node: string) =>
      releaseOf(node)
        .files.find((file) => file.path === '/etc/keepalived/keepalived.conf')
        ?.content.toString() ?? '';
    expect(text('lb-1')).toMatch(/unicast_src_ip 192\.0\.2\.41\n +unicast_peer \{\n +192\.0\.2\.42\n +\}/);
    expect(text('lb-2')).toMatch(/unicast_src_ip 192\.0\.2\.42\n +unicast_peer \{\n +192\.0\.2\.41\n +\}/);
    for (const node of ['lb-1', 'lb-2'])
      expect(text(node)).toMatch(/nopreempt\n +priority 100\n.*advert_int 0\.1\n.*192\.0\.2\.40\/24 dev eth2/s);
  });

  it('is nothing that the only load balancer hears of', () => {
    const environment = alone();
    const release = releaseOf('lb-1', { ...sources(), environment });
    expect(release.units).not.toContain('keepalived');
    expect(release.files.some((file) => /shared|leaving/.test(file.content.toString()))).toBe(false);
    expect(unitsOf(environment, { roles: ['lb'] })).toEqual(['haproxy']);
    expect(unitsOf(labEnvironment(), { roles: ['lb'] })).toEqual(['haproxy', 'keepalived']);
  });
});
