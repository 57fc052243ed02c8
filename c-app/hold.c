#include "hold.h"

void hold_init(struct hold *h, size_t max) { *h = (struct hold){.max = max}; }

bool hold_push(struct hold *h, struct hold_item *item) {
  if (h->count >= h->max) return false;
  hold_return(h, item);
  return true;
}

/* Items mostly come in the order of their deadlines; one that comes back is older, and goes before the younger ones.
 * So the queue stays sorted, and the first is the one that expires first. */
void hold_return(struct hold *h, struct hold_item *item) {
  struct hold_item *after = h->last;
  if (h->first != NULL && h->first->deadline > item->deadline) {
    after = NULL;
  } else {
    while (after != NULL && after->deadline > item->deadline) after = after->prev;
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
