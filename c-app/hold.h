/* hold: the bounded queue in which requests wait for a primary.
 *
 * Intrusive: the item is part of the request, so holding allocates nothing and cannot fail for want of memory.
 * The queue owns no item; an item is in one queue at most and must leave it before it is freed. */
#ifndef HOLD_H
#define HOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hold_item {
  struct hold_item *prev, *next; /* private */
  uint64_t deadline;             /* in loop time */
};

/* A ring; not to be copied. */
struct hold {
  struct hold_item end; /* its next is the first, its prev the last */
  size_t count, max;
};

void hold_init(struct hold *h, size_t max);
/* At the end. False: the queue is full. */
bool hold_push(struct hold *h, struct hold_item *item);
/* The same for an item that was taken out and must go back: never refused, for it was let in once. */
void hold_return(struct hold *h, struct hold_item *item);
void hold_remove(struct hold *h, struct hold_item *item);
/* The oldest, taken out; NULL when empty. */
struct hold_item *hold_take(struct hold *h);
/* One whose deadline is `now` or earlier, taken out; NULL when there is none. */
struct hold_item *hold_take_expired(struct hold *h, uint64_t now);

#endif
