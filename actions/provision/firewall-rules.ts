import type { Environment } from '../core/environment/schema.ts';

/** A firewall rule in Linode's words, without what Linode adds. */
export interface Rule {
  readonly label: string;
  readonly action: 'ACCEPT' | 'DROP';
  readonly protocol: 'TCP' | 'UDP' | 'ICMP';
  readonly ports?: string;
  readonly addresses: { readonly ipv4: readonly string[]; readonly ipv6?: readonly string[] };
}

export interface Rules {
  readonly inbound: readonly Rule[];
  readonly inbound_policy: 'DROP';
  readonly outbound: readonly Rule[];
  readonly outbound_policy: 'ACCEPT';
}

const anywhere = { ipv4: ['0.0.0.0/0'], ipv6: ['::/0'] };

/**
 * What may come in. ssh is open to all, since the addresses of GitHub's runners don't fit a firewall; it takes keys only. The
 * service's port is open on every machine, and only a load balancer listens there. Redis, Sentinel and the rest: VPC only.
 * VRRP needs no rule: it is spoken in the VLAN, which Linode's firewalls do not filter.
 */
export function firewallRules(environment: Environment): Rules {
  const inside = { ipv4: [environment.network.subnet] };
  return {
    inbound: [
      { label: 'ssh', action: 'ACCEPT', protocol: 'TCP', ports: String(environment.ssh.port), addresses: anywhere },
      {
        label: 'service',
        action: 'ACCEPT',
        protocol: 'TCP',
        ports: String(environment.haproxy.port),
        addresses: anywhere,
      },
      { label: 'ping', action: 'ACCEPT', protocol: 'ICMP', addresses: anywhere },
      { label: 'vpc-tcp', action: 'ACCEPT', protocol: 'TCP', ports: '1-65535', addresses: inside },
      { label: 'vpc-udp', action: 'ACCEPT', protocol: 'UDP', ports: '1-65535', addresses: inside },
    ],
    inbound_policy: 'DROP',
    outbound: [],
    outbound_policy: 'ACCEPT',
  };
}

/** Whether the rules that Linode shows do the same as ours, whatever it added to them. */
export function sameRules(ours: Rules, theirs: unknown): boolean {
  return JSON.stringify(essence(ours)) === JSON.stringify(essence(theirs));
}

type Loose = {
  inbound?: LooseRule[] | null;
  outbound?: LooseRule[] | null;
  inbound_policy?: string;
  outbound_policy?: string;
};
type LooseRule = {
  label?: string | null;
  action?: string | null;
  protocol?: string | null;
  ports?: string | null;
  addresses?: { ipv4?: string[] | null; ipv6?: string[] | null } | null;
};

function essence(rules: unknown): unknown {
  const { inbound, outbound, inbound_policy, outbound_policy } = rules as Loose;
  const each = (rule: LooseRule) => [
    rule.label ?? null,
    rule.action,
    rule.protocol,
    rule.ports ?? null,
    [...(rule.addresses?.ipv4 ?? [])].sort(),
    [...(rule.addresses?.ipv6 ?? [])].sort(),
  ];
  return [(inbound ?? []).map(each), inbound_policy, (outbound ?? []).map(each), outbound_policy];
}
