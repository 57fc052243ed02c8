import { describe, expect, it } from 'vitest';
import { deriveHostKey } from '../../actions/core/derive.ts';
import { deriveInventory, sshTarget } from '../../actions/core/inventory.ts';
import { Secret } from '../../actions/core/secret.ts';
import { instances, labEnvironment } from './environment-fixture.ts';

const environment = labEnvironment();
const fleetSecret = new Secret('a fleet secret of at least thirty-two characters');

describe('the inventory', () => {
  it('has every node in the order of the environment, with its pinned host key', () => {
    const { nodes } = deriveInventory(environment, instances(environment).reverse(), fleetSecret);
    expect(nodes.map((node) => node.name)).toEqual(environment.nodes.map((node) => node.name));
    expect(nodes[0]).toEqual({
      name: 'redis-1',
      roles: ['redis'],
      linodeId: 1001,
      status: 'running',
      address: '198.18.0.11',
      publicAddress: '198.19.0.11',
      hostKey: deriveHostKey(fleetSecret, 'lab', 'redis-1').publicLine,
    });
  });

  it('names the machines that are missing and says what to do', () => {
    const some = instances(environment).filter((each) => !/app-1|lb-1/.test(each.label));
    expect(() => deriveInventory(environment, some, fleetSecret)).toThrow(
      /no machine for app-1, lb-1. Run provision first/,
    );
  });

  it('finds a node by its tags when its label was changed', () => {
    const renamed = instances(environment).map((each) => (each.id === 1001 ? { ...each, label: 'mine' } : each));
    expect(deriveInventory(environment, renamed, fleetSecret).nodes[0]?.linodeId).toBe(1001);
  });

  it('refuses two machines that claim to be one node', () => {
    const all = instances(environment);
    const twin = { ...all[0], id: 9, label: 'other' } as (typeof all)[number];
    expect(() => deriveInventory(environment, [...all, twin], fleetSecret)).toThrow(/2 Linodes claim to be this node/);
  });

  it('passes over the private address of a data centre', () => {
    const withPrivate = instances(environment).map((each) => ({ ...each, ipv4: ['192.168.130.4', ...each.ipv4] }));
    expect(deriveInventory(environment, withPrivate, fleetSecret).nodes[0]?.publicAddress).toBe('198.19.0.11');
  });

  it('leads ssh to the public address with the pinned key', () => {
    const node = deriveInventory(environment, instances(environment), fleetSecret).nodes[0];
    expect(node && sshTarget(environment, node, new Secret('key'))).toMatchObject({
      node: 'redis-1',
      host: '198.19.0.11',
      port: 22,
      user: 'deploy',
      hostKey: node?.hostKey,
    });
  });
});
