import { createPrivateKey, createPublicKey, hkdfSync } from 'node:crypto';
import { Secret } from './secret.ts';

export interface KeyPair {
  /** OpenSSH's own private key format, without passphrase: read by sshd, ssh and ssh2 alike. */
  readonly privateKey: Secret;
  /** `ssh-ed25519 AAAA... comment` */
  readonly publicLine: string;
}

/**
 * Everything secret that an environment needs comes from its one fleet secret by HKDF (RFC 5869) with SHA-256: nothing to store,
 * the same on every run, and knowing one derived value tells nothing of another.
 * @param purpose names the derived value, e.g. `redis-password`
 */
export function derivePassword(fleetSecret: Secret, environment: string, purpose: string): Secret {
  return new Secret(deriveBytes(fleetSecret, environment, `password/${purpose}`, 24).toString('base64url'));
}

/** The ed25519 host key of a node: given to cloud-init before the first boot, its public half pinned by the controller. */
export function deriveHostKey(fleetSecret: Secret, environment: string, node: string): KeyPair {
  return keyPair(deriveBytes(fleetSecret, environment, `host-key/${node}`, 32), `${node}.${environment}`);
}

/** The ed25519 key with which the controller logs in as the deploy user. */
export function deriveDeployKey(fleetSecret: Secret, environment: string): KeyPair {
  return keyPair(deriveBytes(fleetSecret, environment, 'deploy-key', 32), `firedrill@${environment}`);
}

function deriveBytes(fleetSecret: Secret, environment: string, purpose: string, length: number): Buffer {
  return Buffer.from(hkdfSync('sha256', fleetSecret.reveal(), 'firedrill', `${environment}/${purpose}`, length));
}

function keyPair(seed: Buffer, comment: string): KeyPair {
  const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
  const key = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
  const publicBytes = createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32);
  const blob = Buffer.concat([sshString('ssh-ed25519'), sshString(publicBytes)]);
  return {
    privateKey: new Secret(openSshPrivateKey(seed, publicBytes, blob, comment)),
    publicLine: `ssh-ed25519 ${blob.toString('base64')} ${comment}`,
  };
}

/** OpenSSH's PROTOCOL.key, unencrypted. The check number may be any value twice; a derived one keeps the bytes reproducible. */
function openSshPrivateKey(seed: Buffer, publicBytes: Buffer, blob: Buffer, comment: string): string {
  const check = publicBytes.subarray(0, 4);
  const body = Buffer.concat([
    check,
    check,
    sshString('ssh-ed25519'),
    sshString(publicBytes),
    sshString(Buffer.concat([seed, publicBytes])),
    sshString(comment),
  ]);
  const padding = Buffer.from(Array.from({ length: (8 - (body.length % 8)) % 8 }, (_, index) => index + 1));
  const count = Buffer.alloc(4);
  count.writeUInt32BE(1);
  const file = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    sshString('none'),
    sshString('none'),
    sshString(''),
    count,
    sshString(blob),
    sshString(Buffer.concat([body, padding])),
  ]);
  const lines = file.toString('base64').match(/.{1,70}/g) ?? [];
  return ['-----BEGIN OPENSSH PRIVATE KEY-----', ...lines, '-----END OPENSSH PRIVATE KEY-----', ''].join('\n');
}

function sshString(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value as Buffer);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
