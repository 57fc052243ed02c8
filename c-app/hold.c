#include "hold.h"

void hold_init(struct hold *h, size_t max) { *h = (struct hold){.max = max}; }

bool hold_push(struct hold *h, struct hold_item *item) {
  if (h->count >= h->max) return false;
  hold_return(h, item);
  return true;
}

/* The queue stays sorted by deadline, so that the first is the one that expires first. Items mostly come in that order; one
 * that comes back is older than nearly all, so its place is looked for from the front. */
void hold_return(struct hold *h, struct hold_item *item) {
  struct hold_item *after = h->last;
  if (after != NULL && after->deadline > item->deadline) {
    after = NULL;
    for (struct hold_item *i = h->first; i->deadline <= item->deadline; i = i->next) after = i;
  }
  item->prev = after;
  item->next = after != NULL ? after->next : h->first;
  if (item->next != NULL) {
    item->next->prev = item;
  } else {
    h->last = item;
  }
  if (after != NULL) {
    after->next = item;
  } else {
    h->first = item;
  }
  h->count++;
}

void hold_remove(struct hold *h, struct hold_item *item) {
  if (item->prev != NULL) {
    item->prev->next = item->next;
  } else {
    h->first = item->next;
  }
  if (item->next != NULL) {
    item->next->prev = item->prev;
  } else {
    h->last = item->prev;
  }
  item->prev = item->next = NULL;
  h->count--;
}

struct hold_item *hold_take(struct hold *h) {
  struct hold_item *item = h->first;
  if (item != NULL) hold_remove(h, item);
  return item;
}

struct hold_item *hold_take_expired(struct hold *h, uint64_t now) {
  return h->first != NULL && h->first->deadline <= now ? hold_take(h) : NULL;
}
