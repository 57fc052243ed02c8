/* request: one HTTP/1.x request, read from bytes that arrive in pieces of any size. No sockets here.
 *
 * llhttp parses; on top of it the following is refused, because a proxy in front may read it in another way:
 * a request line with anything but single blanks, an HTTP/0.9 request, a version other than 1.0 and 1.1, a target that is not a
 * path (or * of OPTIONS), a fragment or a byte outside visible ASCII in it; no Host or more than one (1.1); any
 * Transfer-Encoding in 1.0; a Transfer-Encoding other than exactly `chunked`, once.
 *
 * A head that comes in pieces is parsed anew with each, so names and values are always whole. The verdict does not depend on how
 * the bytes are cut: limits count bytes of the request, not of a piece. */
#ifndef REQUEST_H
#define REQUEST_H

#include "buf.h"

#include <llhttp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REQUEST_TARGET_MAX 255 /* longer: 414 */
#define REQUEST_LINE_MAX (REQUEST_TARGET_MAX + 32)
#define REQUEST_HEAD_MAX 8192  /* request line and headers; longer: 431 */
#define REQUEST_VALUE_MAX 128  /* of a header that is kept */

enum request_verdict { REQUEST_MORE, REQUEST_DONE, REQUEST_BAD };

/* The headers that are kept. */
enum request_header { REQUEST_ID, REQUEST_IF_MATCH, REQUEST_IF_NONE_MATCH, REQUEST_START, REQUEST_KEPT };

struct request {
  /* Of a request that is done. */
  uint8_t method; /* enum llhttp_method */
  bool keep_alive;
  bool http_1_0;
  size_t target_len;
  struct {
    bool given;
    uint8_t len; /* 0 also for what came twice or is longer than REQUEST_VALUE_MAX */
    char text[REQUEST_VALUE_MAX];
  } header[REQUEST_KEPT];
  struct buf body; /* owned by the request */
  /* Of a bad one. */
  int status;
  const char *why; /* a literal, or a text of llhttp's */
  /* While more is needed: the client waits for "100 Continue" before it sends the body. Cleared by whoever answers. */
  bool wants_continue;

  /* Private. */
  llhttp_t parser;
  struct buf part; /* a head that is not whole */
  size_t body_max, trailer_bytes;
  const char *value; /* of the header that is read */
  size_t value_len;
  uint8_t hosts, encodings, field;
  bool head_done;

  char target[REQUEST_TARGET_MAX + 1]; /* NUL-terminated */
};

/* Of a zeroed struct, or of one that was used before: the memory of a small body is used again. A body that is longer than
 * `body_max` is refused with 413. */
void request_init(struct request *r, size_t body_max);
/* Takes the next bytes. `*used` says how many belong to this request; with REQUEST_DONE what follows is the next one's. */
enum request_verdict request_feed(struct request *r, const char *data, size_t len, size_t *used);
/* It was answered: gives back what memory would cost too much to keep for the next request. */
void request_trim(struct request *r);
/* Gives back all its memory. */
void request_free(struct request *r);

#endif
