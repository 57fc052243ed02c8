/* tls: mbedTLS without sockets. Bytes of the network go in with tls_feed and come out with tls_take; rconn moves them.
 *
 *   tls_new                              what all connections share: whom to trust, who we are
 *   tls_open                             one connection's part
 *   tls_shake until it is done, then tls_read and tls_write; tls_feed before and tls_take after each
 *   tls_close, tls_free                  in any order
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

/* `ip` is the peer's address. NULL when memory is short. */
struct tls_link *tls_open(struct tls *t, const char *ip);
void tls_close(struct tls_link *l);
/* What the network brought. False: no memory. */
bool tls_feed(struct tls_link *l, const void *data, size_t len);
/* The handshake, as far as it goes: 1 done, 0 more from the network is needed, -1 failed. */
int tls_shake(struct tls_link *l);
/* Decrypts: the number of bytes, 0 more from the network is needed, -1 failed or ended by the peer. */
int tls_read(struct tls_link *l, char *out, size_t size);
/* Encrypts all of it. False: failed. */
bool tls_write(struct tls_link *l, const void *data, size_t len);
/* Moves what is for the network to the end of `out`. False: no memory. */
bool tls_take(struct tls_link *l, struct buf *out);
/* Why the last call failed, in words that live as long as the link. */
const char *tls_error(const struct tls_link *l);

#endif
