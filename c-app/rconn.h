/* rconn: one multiplexed connection to a Redis or a Sentinel, over libuv, with hiredis' reader for the replies.
 *
 * Why not hiredis' own asynchronous context: when a connection breaks it fails every pending command without saying
 * which of them were sent, and it trusts TCP. Here each command that loses its answer is told whether it was handed to
 * the kernel, and a peer that is silent is given up although its TCP connection still looks open.
 *
 *   rconn_open       connects (over TLS when the options say so), greets (HELLO 3, which also signs in), then ready
 *   rconn_begin, rconn_arg..., rconn_end
 *                    append a command; nothing leaves before rconn_flush, so that a loop turn makes one write
 *   rconn_ask        the same for a few words of text
 *   rconn_close      ends it; the struct frees itself when libuv has closed its handles
 *
 * Every command's callback runs exactly once: with the answer, or with NULL when the connection ended first.
 * After events->lost, or after rconn_close, the pointer must not be used again. */
#ifndef RCONN_H
#define RCONN_H

#include "addr.h"

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

/* A server's word is not trusted with our memory. What is longer than these is a protocol error, and the connection ends: a reply
 * in bytes (the largest is what one MGET finds: store.c asks for sessions until 8 MiB are reached, each 16 MiB at most), and in elements, those of lists in lists included (the largest is
 * SENTINEL REPLICAS, about 80 for each). What a server only announces is never allocated beyond that. */
#define RCONN_REPLY_MAX 33554432
#define RCONN_ELEMENTS_MAX 8192

struct rconn;
struct tls; /* tls.h */

struct rconn_options {
  struct addr addr;
  const char *user;     /* "" is the default user; borrowed, must outlive the connection */
  const char *password; /* "" is none; borrowed likewise */
  struct tls *tls;      /* NULL: plain TCP; borrowed likewise */
  unsigned timeout_ms;  /* deadline of a command */
  unsigned ping_ms;     /* silence after which PING is sent */
  unsigned dead_ms;     /* silence after which the connection is lost; also the deadline of connect and greeting */
};

struct rconn_events {
  void (*ready)(void *owner, struct rconn *c);
  /* A message of a channel, as RESP3 pushes it. May be NULL when nothing is subscribed. */
  void (*push)(void *owner, struct rconn *c, const redisReply *message);
  /* The connection ended by itself. The callbacks of all its commands have run before. `why` lives for the call. */
  void (*lost)(void *owner, struct rconn *c, const char *why);
};

struct rconn_answer {
  void *arg;               /* as it was given with the command */
  const redisReply *reply; /* NULL: the connection ended first */
  bool sent;               /* false: no server can have executed the command */
};

typedef void rconn_reply_fn(void *owner, const struct rconn_answer *a);

/* NULL when memory or descriptors are short. `events` and what the options borrow must outlive the connection. */
struct rconn *rconn_open(uv_loop_t *loop, const struct rconn_options *options, const struct rconn_events *events, void *owner);

/* One command, piece by piece: rconn_begin, arguments, rconn_end, without anything in between. `head` is its beginning as RESP
 * writes it: "*argc\r\n" and those of the first arguments that are always the same. Want of memory is remembered and told by
 * rconn_end. rconn_arg2 is one argument made of two pieces. */
void rconn_begin(struct rconn *c, const char *head, size_t len);
void rconn_arg(struct rconn *c, const void *data, size_t len);
void rconn_arg2(struct rconn *c, const void *data, size_t len, const void *more, size_t more_len);
/* `blocks_ms` is not 0 for a command that blocks in the server (WAIT): it extends the deadline, and silence is no sign
 * of death until it is answered. False: nothing was appended (no memory, or not connected), the callback won't run. */
bool rconn_end(struct rconn *c, rconn_reply_fn *fn, void *arg, unsigned blocks_ms);
/* The whole command as words, the last followed by NULL. */
bool rconn_ask(struct rconn *c, rconn_reply_fn *fn, void *arg, unsigned blocks_ms, ...) __attribute__((sentinel));

/* Sends what was appended. False: the connection has ended, and events->lost was called. */
bool rconn_flush(struct rconn *c);

/* The peer's kernel has accepted it. */
bool rconn_connected(const struct rconn *c);

/* Bytes that wait for the socket. */
size_t rconn_backlog(const struct rconn *c);

/* Ends the connection from the owner's side: pending callbacks run with NULL, events->lost does not. */
void rconn_close(struct rconn *c);

/* The reader of replies: hiredis', with the limit on elements. `elements` is where it counts those of a reply, and lives as long
 * as the reader; whoever takes a reply sets it back to 0. NULL when memory is short. */
redisReader *rconn_reader(size_t *elements);

#endif
