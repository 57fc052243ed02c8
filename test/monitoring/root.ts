/** Packages of the Debian 13 root in which monitoring is tested: what the nodes have, without the C service. */
export const monitoringPackages = [
  'haproxy',
  'prometheus',
  'prometheus-alertmanager',
  'prometheus-blackbox-exporter',
  'prometheus-node-exporter',
  'prometheus-redis-exporter',
  'redis-sentinel',
  'redis-server',
  'redis-tools',
];
