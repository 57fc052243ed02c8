#include "request.h"

#include <string.h>
#include <strings.h>

#define KEEP_BODY 1024 /* a body's memory up to this is kept for the next request */

/* The headers of interest; the first REQUEST_KEPT are kept. */
enum { FIELD_HOST = REQUEST_KEPT, FIELD_ENCODING, FIELD_EXPECT, FIELD_OTHER };
static const char *const fields[FIELD_OTHER] = {[REQUEST_ID] = "x-request-id", [REQUEST_IF_MATCH] = "if-match",
                                                [REQUEST_IF_NONE_MATCH] = "if-none-match", [REQUEST_START] = "x-request-start",
                                                [FIELD_HOST] = "host", [FIELD_ENCODING] = "transfer-encoding", [FIELD_EXPECT] = "expect"};

/* For the callbacks, which end the parser with -1. The first reason stands: what comes after it is its consequence. */
static int refuse(struct request *r, int status, const char *why) {
  if (r->status != 0) return -1;
  r->status = status;
  r->why = why;
  return -1;
}

static bool is(const char *text, size_t len, const char *word) { return len == strlen(word) && strncasecmp(text, word, len) == 0; }

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* llhttp is lenient about the request line, which ends at `end`, so it is read here before. */
static int check_line(struct request *r, const char *line, const char *end) {
  const char *target = line;
  while ((*target >= 'A' && *target <= 'Z') || *target == '-') target++;
  if (target == line || *target++ != ' ') return refuse(r, 400, "method");
  const char *version = target;
  while (*version > ' ' && *version < 0x7f && *version != '#') version++;
  r->target_len = (size_t)(version - target);
  if (*version != ' ' || (*target != '/' && (*target != '*' || r->target_len != 1))) return refuse(r, 400, "request target");
  if (r->target_len > REQUEST_TARGET_MAX) return refuse(r, 414, "request target is too long");
  if (end - version != 11 || memcmp(version, " HTTP/", 6) != 0 || version[7] != '.' || !is_digit(version[6]) || !is_digit(version[8]) ||
      version[9] != '\r') return refuse(r, 400, "request line");
  if (version[6] != '1' || version[8] > '1') return refuse(r, 505, "HTTP version");
  r->http_1_0 = version[8] == '0';
  memcpy(r->target, target, r->target_len);
  r->target[r->target_len] = '\0';
  return 0;
}

/* True when the request line is there, and good. */
static bool has_line(struct request *r, const char *text, size_t len) {
  const char *end = memchr(text, '\n', len < REQUEST_LINE_MAX ? len : REQUEST_LINE_MAX);
  if (end == NULL && len >= REQUEST_LINE_MAX) refuse(r, 414, "request line is too long");
  return end != NULL && check_line(r, text, end + 1) == 0;
}

/* For the names of headers and trailers, and for the trailers' values. A name in the head is in one piece. */
static int on_field(llhttp_t *p, const char *data, size_t len) {
  struct request *r = p->data;
  r->field = r->head_done ? FIELD_OTHER : 0;
  r->value_len = 0;
  while (r->field < FIELD_OTHER && !is(data, len, fields[r->field])) r->field++;
  if (r->head_done) r->trailer_bytes += len;
  return r->trailer_bytes <= REQUEST_HEAD_MAX ? 0 : refuse(r, 431, "trailers are too long");
}

static int on_value(llhttp_t *p, const char *data, size_t len) {
  struct request *r = p->data;
  if (r->head_done) return on_field(p, data, len);
  if (r->value_len == 0) r->value = data;
  r->value_len += len;
  return 0;
}

static int on_value_end(llhttp_t *p) {
  struct request *r = p->data;
  const char *value = r->value;
  size_t len = r->value_len;
  if (r->field == FIELD_OTHER) return 0;
  while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t')) len--;
  if (r->field < REQUEST_KEPT) {
    bool whole = !r->header[r->field].given && len <= REQUEST_VALUE_MAX;
    r->header[r->field].given = true;
    r->header[r->field].len = whole ? (uint8_t)len : 0;
    if (whole && len > 0) memcpy(r->header[r->field].text, value, len);
  } else if (r->field == FIELD_HOST) {
    if (++r->hosts > 1) return refuse(r, 400, "more than one Host");
  } else if (r->field == FIELD_ENCODING) {
    if (++r->encodings > 1 || !is(value, len, "chunked")) return refuse(r, 400, "Transfer-Encoding");
  } else {
    r->wants_continue = is(value, len, "100-continue");
    if (!r->wants_continue) return refuse(r, 417, "Expect");
  }
  return 0;
}

static int on_head(llhttp_t *p) {
  struct request *r = p->data;
  uint64_t length = (p->flags & F_CONTENT_LENGTH) != 0 ? p->content_length : 0;
  r->head_done = true;
  if (!r->http_1_0 && r->hosts == 0) return refuse(r, 400, "no Host");
  if (r->http_1_0 && r->encodings > 0) return refuse(r, 400, "Transfer-Encoding in HTTP/1.0");
  if (length > r->body_max) return refuse(r, 413, "body is too long");
  r->wants_continue = r->wants_continue && ((p->flags & F_CHUNKED) != 0 || length > 0) && !r->http_1_0;
  /* An upgrade is an offer that we decline: the request goes on as HTTP/1.1. */
  p->upgrade = 0;
  return 0;
}

/* What is announced and too long is refused at once, not when it has come. */
static int on_chunk(llhttp_t *p) {
  struct request *r = p->data;
  return p->content_length <= r->body_max - r->body.len ? 0 : refuse(r, 413, "body is too long");
}

static int on_body(llhttp_t *p, const char *data, size_t len) {
  struct request *r = p->data;
  return buf_add(&r->body, data, len) ? 0 : refuse(r, 503, "out of memory");
}

static int on_message(llhttp_t *p) {
  struct request *r = p->data;
  r->method = p->method;
  r->keep_alive = llhttp_should_keep_alive(p) != 0;
  r->wants_continue = false;
  return HPE_PAUSED; /* request_feed stops here, at the first byte of what follows */
}

void request_free(struct request *r) {
  buf_free(&r->part);
  buf_free(&r->body);
}

void request_trim(struct request *r) {
  if (r->body.cap > KEEP_BODY) buf_free(&r->body);
  buf_free(&r->part);
}

void request_init(struct request *r, size_t body_max) {
  static const llhttp_settings_t settings = {.on_header_field = on_field,
                                             .on_header_value = on_value,
                                             .on_header_value_complete = on_value_end,
                                             .on_headers_complete = on_head,
                                             .on_chunk_header = on_chunk,
                                             .on_body = on_body,
                                             .on_message_complete = on_message};
  request_trim(r);
  struct buf body = r->body;
  memset(r, 0, offsetof(struct request, target));
  r->body = (struct buf){.data = body.data, .cap = body.cap};
  r->body_max = body_max;
  llhttp_init(&r->parser, HTTP_REQUEST, &settings);
  r->parser.data = r;
}

static enum request_verdict execute(struct request *r, const char *data, size_t len, size_t *used) {
  llhttp_errno_t e = llhttp_execute(&r->parser, data, len);
  *used = e == HPE_PAUSED ? (size_t)(llhttp_get_error_pos(&r->parser) - data) : len;
  if (e == HPE_PAUSED) return REQUEST_DONE;
  if (e != HPE_OK) refuse(r, 400, llhttp_get_error_reason(&r->parser));
  return e != HPE_OK ? REQUEST_BAD : REQUEST_MORE;
}

/* Takes `part` and the next bytes for the head. */
static bool start_again(struct request *r, const char *data, size_t len) {
  struct buf part = r->part;
  r->part = (struct buf){0};
  request_init(r, r->body_max);
  r->part = part;
  return buf_add(&r->part, data, len);
}

enum request_verdict request_feed(struct request *r, const char *data, size_t len, size_t *used) {
  if (r->head_done) return execute(r, data, len, used);
  size_t before = r->part.len, have = before + len;
  if (before > 0 && !start_again(r, data, len)) refuse(r, 503, "out of memory");
  const char *text = before > 0 ? r->part.data : data;
  size_t skip = have >= 2 && memcmp(text, "\r\n", 2) == 0 ? 2 : 0; /* one empty line before it is allowed (RFC 9112, 2.2) */
  size_t n = (have < REQUEST_HEAD_MAX ? have : REQUEST_HEAD_MAX) - skip;
  enum request_verdict v = REQUEST_MORE;
  *used = len;
  if (r->status == 0 && has_line(r, text + skip, n)) v = execute(r, text + skip, n, &n);
  if (!r->head_done && have >= REQUEST_HEAD_MAX) refuse(r, 431, "headers are too long");
  if (!r->head_done && before == 0 && !buf_add(&r->part, data, len)) refuse(r, 503, "out of memory");
  if (r->status != 0) return REQUEST_BAD;
  r->wants_continue = r->wants_continue && r->head_done;
  if (!r->head_done) return REQUEST_MORE;
  buf_free(&r->part);
  *used = skip + n - before;
  if (v != REQUEST_MORE || *used == len) return v;
  v = execute(r, data + *used, len - *used, &n);
  *used += n;
  return v;
}
