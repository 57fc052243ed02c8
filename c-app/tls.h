/* tls: mbedTLS without sockets. What the network brings goes in with tls_read; what is for it is put into a buffer of the
 * caller's, who sends it.
 *
 *   tls_new                    what all connections share: whom to trust, who we are
 *   tls_open                   one connection's part
 *   tls_write, tls_read        encrypt and decrypt; the handshake is made by the way
 *   tls_close, tls_free        in any order
 *
 * TLS 1.2 or newer. The peer must show a certificate that a CA of the file signed for the name it is expected to have, or
 * for the IP address that was connected to, as an IP address in its subjectAltName. RSA from 2048 bits, or ECDSA; not Ed25519. */
#ifndef TLS_H
#define TLS_H

#include "buf.h"

#include <stdbool.h>
#include <stddef.h>

struct tls;
struct tls_link;

/* Files in PEM. `cert` and `key` are ours, for a server that asks; both "" when there are none. `name` is the one in the
 * peers' certificates; "" means each peer's IP address. NULL: `error` says why. */
struct tls *tls_new(const char *ca, const char *cert, const char *key, const char *name, char *error, size_t size);
void tls_free(struct tls *t);

#define TLS_PLAIN_MAX 98304 /* what tls_read can make of 64 kB, and of a record that was begun before */

/* `ip` is the peer's address; `out` gets what is for the network, and lives as long as the link. NULL when memory is short. */
struct tls_link *tls_open(struct tls *t, const char *ip, struct buf *out);
void tls_close(struct tls_link *l);
/* Decrypts what the network brought, 65536 bytes at most, into `plain`; returns how many bytes it makes. */
size_t tls_read(struct tls_link *l, const void *data, size_t len, char plain[static TLS_PLAIN_MAX]);
/* Encrypts and empties `plain`, or leaves it while the handshake is under way. NULL, or why this or an earlier call failed, in
 * words that live as long as the link. What `out` holds then tells the peer. */
const char *tls_write(struct tls_link *l, struct buf *plain);

#endif
