import ssh2, { type Client } from 'ssh2';

/** The part of ssh2's Client that its types leave out. */
interface WithProtocol {
  readonly _protocol?: {
    authPK?(user: string, key: object, sign: (data: Buffer, send: (signature: Buffer) => void) => void): void;
  };
}

/**
 * Has the client log in by `privateKey` in one round trip after the key exchange. ssh2 by itself asks for the service, then whether the
 * key would do, and signs only then: three. The client must be given `awaitsLogin` as its authHandler. When the server refuses, or this
 * ssh2 works otherwise, the connection fails after its 'handshake' event; the caller then logs in as ssh2 does.
 */
export function loginAtOnce(client: Client, user: string, privateKey: string): void {
  client.once('handshake', () => {
    // The service is asked for right after this event, and the server takes both in that order.
    queueMicrotask(() => {
      try {
        const key = ssh2.utils.parseKey(privateKey);
        const protocol = (client as unknown as WithProtocol)._protocol;
        if (key instanceof Error || protocol?.authPK === undefined) throw new Error('this ssh2 can only log in slowly');
        protocol.authPK(user, key, (data, send) => send(key.sign(data)));
      } catch (error) {
        client.emit('error', error as Error);
      }
    });
  });
}

/** The answer to what `loginAtOnce` sent is under way: nothing else is tried. */
export function awaitsLogin(): void {}
