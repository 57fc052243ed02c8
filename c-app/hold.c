#include "hold.h"

void hold_init(struct hold *h, size_t max) { *h = (struct hold){.end = {&h->end, &h->end, 0}, .max = max}; }

bool hold_push(struct hold *h, struct hold_item *item) {
  if (h->count >= h->max) return false;
  hold_return(h, item);
  return true;
}

/* The queue stays sorted by deadline, so that the first is the one that expires first. Items mostly come in that order; one
 * that comes back is older than nearly all, so its place is looked for from the front. */
void hold_return(struct hold *h, struct hold_item *item) {
  struct hold_item *before = &h->end;
  if (h->end.prev->deadline > item->deadline) {
    for (before = h->end.next; before->deadline <= item->deadline;) before = before->next;
  }
  item->next = before;
  item->prev = before->prev;
  item->prev->next = item->next->prev = item;
  h->count++;
}

void hold_remove(struct hold *h, struct hold_item *item) {
  item->prev->next = item->next;
  item->next->prev = item->prev;
  h->count--;
}

struct hold_item *hold_take(struct hold *h) {
  struct hold_item *item = h->end.next;
  if (item == &h->end) return NULL;
  hold_remove(h, item);
  return item;
}

struct hold_item *hold_take_expired(struct hold *h, uint64_t now) { return h->end.next->deadline <= now ? hold_take(h) : NULL; }
