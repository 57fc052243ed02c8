/* store: reads and writes of sessions in whatever Redis is the primary.
 *
 * A request is a struct store_op that its owner fills in and submits; the store keeps the pointer until it calls `done`,
 * exactly once. It allocates nothing per request.
 *
 * What was submitted waits in a queue and leaves at the end of the loop turn, all of it in one write. While there is no
 * primary it stays in the queue, at most hold-ms long; at most hold-max reads and as many writes wait.
 *
 * When a connection breaks:
 *   - what was never sent goes back to the queue;
 *   - a read that was sent goes back too;
 *   - a write that was sent gets STORE_UNKNOWN. It would be wrong to send it again: it may have been applied, and another
 *     client's later write to the same session with it, which the repetition would overwrite.
 *
 * Durability `replicated`: writes go over a connection of their own, since WAIT blocks the one that it is sent on. All
 * writes gathered while the batch before was waiting leave together, followed by one WAIT, and are acknowledged only
 * when enough replicas have them. While the primary has fewer replicas linked than that, writes are not sent at all. */
#ifndef STORE_H
#define STORE_H

#include "config.h"
#include "hold.h"
#include "sentinel.h"

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

struct store;
struct store_op;

enum store_kind { STORE_GET, STORE_SET, STORE_DELETE };

enum store_result {
  STORE_OK,
  STORE_ABSENT,      /* GET, DELETE: no such session */
  STORE_UNAVAILABLE, /* not applied */
  STORE_UNKNOWN      /* a write that may or may not have been applied */
};

/* `value` is what GET found, else a sentence that says what went wrong (empty when nothing did); it lives for the call. */
typedef void store_done_fn(struct store_op *op, enum store_result result, const char *value, size_t len);

struct store_op {
  struct hold_item item; /* first: the queue hands this back. Private, as is `state` */
  enum { STORE_IDLE, STORE_HELD, STORE_SENT, STORE_APPLIED, STORE_APPLIED_ABSENT } state;
  enum store_kind kind;
  const char *id; /* borrowed until done, as is `value` */
  size_t id_len;
  const char *value; /* of STORE_SET */
  size_t value_len;
  store_done_fn *done;
};

/* Starts looking for the primary. The config is borrowed. NULL when memory is short. */
struct store *store_new(uv_loop_t *loop, const struct config *config);
void store_submit(struct store *s, struct store_op *op);
/* The client has gone. True: the request was still waiting and is withdrawn, `done` won't run. False: `done` will run. */
bool store_withdraw(struct store *s, struct store_op *op);
/* Writes can be acknowledged now. */
bool store_ready(const struct store *s);
bool store_has_primary(const struct store *s);
size_t store_held(const struct store *s);
unsigned store_replicas(const struct store *s);
struct sentinel_stats store_sentinel_stats(const struct store *s);
/* Ends every request that is left and closes everything; store_free may be called when the loop has ended. */
void store_stop(struct store *s);
void store_free(struct store *s);

#endif
