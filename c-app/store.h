/* store: reads and writes of sessions in whatever Redis is the primary.
 *
 * A request is a struct store_op that its owner fills in and submits; the store keeps the pointer until it calls `done`,
 * exactly once. It allocates nothing per request.
 *
 * What was submitted waits in a queue and leaves at the end of the loop turn: the reads in one MGET, the writes in one run of
 * the script (up to 128 in each; fewer when sessions may be large), all of it in one write. While there is no primary it stays in the queue, at most hold-ms
 * long; at most hold-max reads and as many writes wait.
 *
 * When a connection breaks, what it had not answered goes back to the queue and is sent again, to whoever is primary then:
 *   - reads always;
 *   - writes because each carries a request id, and the script that applies it (guard.h) does so once per id: what was
 *     applied before the answer was lost is found again, with its result, and never overwrites a later write.
 *
 * Durability. A write is acknowledged when
 *   async       the primary has it;
 *   replicated  every replica that could be promoted has it too, and at least replicas-required of them: Sentinel ranks
 *               replicas by what it heard seconds ago, so a write that only one of two has could be lost (sentinel.h says
 *               who counts);
 *   fsynced     as replicated, and the disks of the primary and of these replicas have it (WAITAOF).
 * Writes of one loop turn leave as one batch on one of several connections, followed by one ROLE (the offset), one WAIT and
 * one ROLE (who has reached it): WAIT counts replicas and does not say which. It blocks its connection only, and is asked
 * again, for those who count by then, until the batch's writes have reached their deadlines. */
#ifndef STORE_H
#define STORE_H

#include "config.h"
#include "hold.h"
#include "sentinel.h"

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#define STORE_ETAG_LEN 16
#define STORE_TAG_LEN (1 + STORE_ETAG_LEN + 11)
#define STORE_ID_MAX 128         /* bytes of a session's id */
#define STORE_REQUEST_ID_MAX 128 /* bytes of a request's */

struct store;
struct store_op;

enum store_kind { STORE_GET, STORE_SET, STORE_DELETE };

enum store_result {
  STORE_OK,
  STORE_ABSENT,      /* GET, DELETE: no such session; GET: also a key that holds no string, since MGET tells no difference */
  STORE_MISMATCH,    /* the condition did not hold; nothing was changed */
  STORE_REUSED,      /* the request id came before with another write; nothing was changed */
  STORE_UNAVAILABLE, /* not applied */
  STORE_UNKNOWN      /* a write that may or may not have been applied */
};

/* `value` is what GET found, else a sentence that says what went wrong (empty when nothing did). `etag`, STORE_ETAG_LEN
 * characters of A-Z a-z 0-9 - _ and no NUL, names the version that was found or written; NULL when there is none. Both live
 * for the call. */
typedef void store_done_fn(struct store_op *op, enum store_result result, const char *value, size_t len, const char *etag);

struct store_op {
  struct hold_item item; /* first: the queue hands this back. Private, as are `state`, `sent`, `outcome` and `tag` */
  enum { STORE_IDLE, STORE_HELD, STORE_SENT, STORE_APPLIED } state;
  enum store_kind kind;
  const char *id; /* all of these are borrowed until done */
  size_t id_len;
  const char *request_id; /* of a write: two with the same id are one. 0 bytes: the store makes one */
  size_t request_id_len;
  const char *condition; /* of a write: "" none, "*" the session must exist, "-" it must not, or the etag that it must have */
  const char *value;     /* of STORE_SET */
  size_t value_len;      /* of another kind it is set to 0 */
  unsigned waited_ms;    /* before it came here: taken off the time for which it is held */
  store_done_fn *done;
  bool sent; /* at least once, so that it may have been applied */
  enum store_result outcome;
  char tag[STORE_TAG_LEN]; /* '+', the etag of what it writes, and its fingerprint */
  const char *primary; /* when a write is done: the replication ID of the Redis that acknowledged it; NULL: none did, or not known; lives for the call */
};

struct tls; /* tls.h */

/* Starts looking for the primary. The config is borrowed; `tls`, made of its files or NULL for plain TCP, becomes the store's.
 * NULL when memory is short, and `tls` stays the caller's. */
struct store *store_new(uv_loop_t *loop, const struct config *config, struct tls *tls);
/* The config that it borrows was changed in place: what depends on it is set up again, requests under way are kept. `tls`
 * as in store_new. False: memory is short, and the old connections stay. */
bool store_reload(struct store *s, struct tls *tls);
void store_submit(struct store *s, struct store_op *op);
/* The client has gone. True: the request was still waiting and is withdrawn, `done` won't run. False: `done` will run. */
bool store_withdraw(struct store *s, struct store_op *op);
/* NULL: writes can be acknowledged now. Else why they can't, a literal. */
const char *store_unready(const struct store *s);
/* Sets what `metrics` says of now. */
void store_measure(const struct store *s);
/* Ends every request that is left and closes everything; store_free may be called when the loop has ended. */
void store_stop(struct store *s);
void store_free(struct store *s);

#endif
