#include "buf.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

bool buf_reserve(struct buf *b, size_t more) {
  if (more <= b->cap - b->len) return true;
  if (more > SIZE_MAX / 2 - b->len) return false;
  size_t cap = b->cap < 256 ? 256 : b->cap;
  while (cap - b->len < more) cap *= 2;
  char *data = realloc(b->data, cap);
  if (data == NULL) return false;
  b->data = data;
  b->cap = cap;
  return true;
}

bool buf_add(struct buf *b, const void *data, size_t len) {
  if (len == 0) return true;
  if (!buf_reserve(b, len)) return false;
  memcpy(b->data + b->len, data, len);
  b->len += len;
  return true;
}

void buf_free(struct buf *b) {
  free(b->data);
  *b = (struct buf){0};
}
