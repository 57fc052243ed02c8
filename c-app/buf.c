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

char *buf_number(char *to, size_t n) {
  if (n > 9) to = buf_number(to, n / 10);
  *to = (char)('0' + n % 10);
  return to + 1;
}

void buf_area(uv_handle_t *handle, size_t suggested, uv_buf_t *b) {
  static char area[65536];
  (void)handle;
  (void)suggested;
  *b = uv_buf_init(area, sizeof area);
}

int buf_write(uv_stream_t *to, struct buf *from, uv_write_t *write, struct buf *rest, uv_write_cb done) {
  uv_buf_t b = uv_buf_init(from->data, (unsigned)from->len);
  int n = uv_try_write(to, &b, 1);
  if (n == (int)from->len) {
    from->len = 0;
    return n;
  }
  if (n < 0 && n != UV_EAGAIN) return n;
  struct buf spare = *rest;
  *rest = *from;
  *from = spare;
  n = n < 0 ? 0 : n;
  b = uv_buf_init(rest->data + n, (unsigned)(rest->len - (size_t)n));
  return uv_write(write, to, &b, 1, done);
}

void buf_free(struct buf *b) {
  free(b->data);
  *b = (struct buf){0};
}
