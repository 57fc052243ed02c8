/* fake_store: store.h without Redis, for tests of what is in front of it. A few sessions in memory; answers at once. */
#ifndef FAKE_STORE_H
#define FAKE_STORE_H

#include "store.h"

/* The next answers are this one, whatever is asked; STORE_OK: as the sessions are. */
extern enum store_result fake_store_fails;
/* Requests wait until they are withdrawn, or fake_store_go is called. */
extern bool fake_store_holds;
void fake_store_go(void);
/* Of the Redis that acknowledges. */
#define FAKE_STORE_PRIMARY "0123456789abcdef0123456789abcdef01234567"
/* The request id of the last write, NUL-terminated. */
extern char fake_store_request_id[STORE_REQUEST_ID_MAX + 1];
/* How long the last request had waited before it came (ms). */
extern unsigned fake_store_waited_ms;

#endif
