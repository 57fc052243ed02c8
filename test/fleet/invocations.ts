// Prints, of all nodes, when each unit was last started and which release stands: a restart of anything changes it. Run it in the lab's namespace.
import { deriveDeployKey } from '../../actions/core/derive.ts';
import { loadEnvironment } from '../../actions/core/environment/load.ts';
import { readInventory, sshTarget } from '../../actions/core/inventory.ts';
import { linodeApi } from '../../actions/core/linode/api.ts';
import { Secret } from '../../actions/core/secret.ts';
import { connectSsh } from '../../actions/core/ssh.ts';
import { clone, environmentName } from '../lab/paths.ts';
import { labSecrets } from '../lab/secrets.ts';

const monitoring = ['', '-alertmanager', '-node-exporter', '-redis-exporter', '-blackbox-exporter'].map(
  (part) => `prometheus${part}`,
);
const units = `redis-server redis-sentinel sessiond haproxy ${monitoring.join(' ')}`;
const command = `systemctl show --property=Id --property=InvocationID --property=ActiveEnterTimestampMonotonic ${units}; readlink /var/lib/firedrill/current`;

const environment = loadEnvironment(`${clone}/environments/${environmentName}.yaml`);
const { FIREDRILL_SECRET, LINODE_TOKEN } = labSecrets();
const secret = new Secret(FIREDRILL_SECRET);
const { api: baseUrl, requestTimeoutMs } = environment.linode;
const api = linodeApi({ baseUrl, token: new Secret(LINODE_TOKEN), requestTimeoutMs });
const { nodes } = await readInventory(environment, api, secret);
const { privateKey } = deriveDeployKey(secret, environment.name);
const answers = await Promise.all(
  nodes.map(async (node) => {
    const ssh = await connectSsh(sshTarget(environment, node, privateKey));
    const { stdout } = await ssh.exec(command, { timeoutMs: 10_000 });
    ssh.close();
    return `${node.name}\n${stdout}`;
  }),
);
console.log(answers.join('\n'));
