/* The requests that a connection yields, and the error that ends it, do not depend on how its bytes are cut.
 *
 * The input's first byte says how many of the next bytes are lengths of pieces, which are taken in turn; the rest is what the
 * client sends. It is read twice, in one piece and in these, by the loop that http.c has, and the two transcripts are compared. */
#include "request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODY_MAX 64
#define PIECES_MAX 15

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct transcript {
  struct buf text;
  unsigned requests;
};

static void add(struct transcript *t, const void *data, size_t len) {
  if (!buf_add(&t->text, &len, sizeof len) || !buf_add(&t->text, data, len)) abort();
}

static void add_request(struct transcript *t, const struct request *r) {
  int facts[] = {r->method, r->keep_alive, r->http_1_0};
  add(t, facts, sizeof facts);
  if (strlen(r->target) != r->target_len || r->body.len > BODY_MAX) abort();
  add(t, r->target, r->target_len);
  for (int i = 0; i < REQUEST_KEPT; i++) {
    add(t, &r->header[i].given, sizeof r->header[i].given);
    add(t, r->header[i].text, r->header[i].len);
  }
  add(t, r->body.data, r->body.len);
  t->requests++;
}

/* One piece, in memory of its own so that a read beyond it is seen. False: the connection has ended. */
static bool take(struct transcript *t, struct request *r, const uint8_t *data, size_t len, bool *idle) {
  char *piece = malloc(len);
  if (piece == NULL) abort();
  memcpy(piece, data, len);
  bool open = true;
  for (size_t at = 0; at < len && open;) {
    size_t used = 0;
    enum request_verdict v = request_feed(r, piece + at, len - at, &used);
    if (used > len - at || (v == REQUEST_MORE && used != len - at)) abort();
    at += used;
    *idle = v == REQUEST_DONE;
    if (v == REQUEST_DONE) {
      add_request(t, r);
      open = r->keep_alive;
      request_init(r, BODY_MAX);
    } else if (v == REQUEST_BAD) {
      if (r->status < 400 || r->why == NULL) abort();
      add(t, &r->status, sizeof r->status);
      open = false;
    }
  }
  free(piece);
  return open;
}

static struct transcript read_all(const uint8_t *data, size_t size, const uint8_t *pieces, size_t count) {
  struct transcript t = {0};
  struct request r = {0};
  bool idle = true, open = true;
  request_init(&r, BODY_MAX);
  for (size_t at = 0, i = 0; at < size && open; i++) {
    size_t n = count > 0 ? (size_t)pieces[i % count] + 1 : size;
    if (n > size - at) n = size - at;
    open = take(&t, &r, data + at, n, &idle);
    at += n;
  }
  bool end[] = {open, idle, open && r.wants_continue};
  add(&t, end, sizeof end);
  request_free(&r);
  return t;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  size_t count = size > 0 ? data[0] % (PIECES_MAX + 1) : 0;
  if (size < 1 + count) return 0;
  const uint8_t *text = data + 1 + count;
  struct transcript whole = read_all(text, size - 1 - count, NULL, 0);
  struct transcript cut = read_all(text, size - 1 - count, data + 1, count);
  struct transcript bytes = read_all(text, size - 1 - count, (const uint8_t[]){0}, 1);
  if (cut.text.len != whole.text.len || memcmp(cut.text.data, whole.text.data, whole.text.len) != 0 ||
      bytes.text.len != whole.text.len || memcmp(bytes.text.data, whole.text.data, whole.text.len) != 0) {
    fprintf(stderr, "%u requests in one piece, %u cut, %u byte by byte\n", whole.requests, cut.requests, bytes.requests);
    abort();
  }
  buf_free(&whole.text);
  buf_free(&cut.text);
  buf_free(&bytes.text);
  return 0;
}
