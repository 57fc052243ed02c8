#include "request.h"

#include <string.h>

#define METHOD_MAX 16

enum line { LINE_START, LINE_START_LF, LINE_METHOD, LINE_TARGET, LINE_VERSION, LINE_DONE };
enum header { HEADER_OTHER, HEADER_HOST, HEADER_ENCODING, HEADER_EXPECT };

static bool refuse(struct request *r, int status, const char *why) {
  /* The first reason stands: what comes after it is only its consequence. */
  if (r->status == 0) {
    r->status = status;
    r->why = why;
  }
  return false;
}

static bool scan_version(struct request *r, char c) {
  static const char rest[] = "HTTP/1.?\r\n";
  size_t at = r->line_at;
  bool digit = at == 5 || at == 7;
  if (at == 7 ? (c != '0' && c != '1') : c != rest[at]) {
    return digit && c >= '0' && c <= '9' ? refuse(r, 505, "HTTP version") : refuse(r, 400, "request line");
  }
  if (at == 7) r->http_1_0 = c == '0';
  if (rest[++r->line_at] == '\0') r->line_state = LINE_DONE;
  return true;
}

/* llhttp is lenient about the request line, so it is read here too. One CRLF before it is allowed (RFC 9112, 2.2). */
static bool scan_line(struct request *r, const char *data, size_t len) {
  for (size_t i = 0; i < len && r->line_state != LINE_DONE; i++) {
    char c = data[i];
    switch (r->line_state) {
      case LINE_START:
        if (c == '\r' && r->line_at == 0) {
          r->line_state = LINE_START_LF;
          break;
        }
        r->line_at = 0;
        r->line_state = LINE_METHOD;
        /* fall through */
      case LINE_METHOD:
        if (c == ' ' && r->line_at > 0) {
          r->line_state = LINE_TARGET;
        } else if (((c < 'A' || c > 'Z') && c != '-') || r->line_at++ == METHOD_MAX) {
          return refuse(r, 400, "method");
        }
        break;
      case LINE_START_LF:
        if (c != '\n') return refuse(r, 400, "request line");
        r->line_state = LINE_START;
        r->line_at = 1;
        break;
      case LINE_TARGET:
        if (c == ' ' && r->target_len > 0) {
          r->target[r->target_len] = '\0';
          r->line_state = LINE_VERSION;
          r->line_at = 0;
        } else if (c <= ' ' || c == 0x7f || c == '#' || (r->target_len == 0 && c != '/' && c != '*')) {
          return refuse(r, 400, "request target");
        } else if (r->target_len == REQUEST_TARGET_MAX) {
          return refuse(r, 414, "request target is too long");
        } else {
          r->target[r->target_len++] = c;
        }
        break;
      default:
        if (!scan_version(r, c)) return false;
    }
  }
  return true;
}

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

static bool is(const char *text, size_t len, const char *word) { return len == strlen(word) && memcmp(text, word, len) == 0; }

/* Collects lower-case text; what does not fit is of no interest and gets a length that matches nothing. */
static void collect(char *to, uint8_t *have, size_t size, const char *data, size_t len) {
  for (size_t i = 0; i < len && *have <= size; i++) {
    if (*have < size) to[*have] = lower(data[i]);
    (*have)++;
  }
}

static int on_field(llhttp_t *p, const char *data, size_t len) {
  struct request *r = p->data;
  if (r->head_done) {
    r->trailer_bytes += len;
    if (r->trailer_bytes <= REQUEST_HEAD_MAX) return 0;
    refuse(r, 431, "trailers are too long");
    return -1;
  }
  collect(r->name, &r->name_len, sizeof r->name, data, len);
  return 0;
}

static int on_field_end(llhttp_t *p) {
  struct request *r = p->data;
  r->header = HEADER_OTHER;
  if (!r->head_done) {
    if (is(r->name, r->name_len, "host")) r->header = HEADER_HOST;
    if (is(r->name, r->name_len, "transfer-encoding")) r->header = HEADER_ENCODING;
    if (is(r->name, r->name_len, "expect")) r->header = HEADER_EXPECT;
  }
  r->name_len = r->value_len = 0;
  return 0;
}

static int on_value(llhttp_t *p, const char *data, size_t len) {
  struct request *r = p->data;
  if (r->head_done) return on_field(p, data, len);
  if (r->header != HEADER_OTHER) collect(r->value, &r->value_len, sizeof r->value, data, len);
  return 0;
}

static int on_value_end(llhttp_t *p) {
  struct request *r = p->data;
  size_t len = r->value_len;
  while (len > 0 && len <= sizeof r->value && (r->value[len - 1] == ' ' || r->value[len - 1] == '\t')) len--;
  bool ok = true;
  if (r->header == HEADER_HOST && ++r->hosts > 1) ok = refuse(r, 400, "more than one Host");
  if (r->header == HEADER_ENCODING && (++r->encodings > 1 || !is(r->value, len, "chunked"))) ok = refuse(r, 400, "Transfer-Encoding");
  if (r->header == HEADER_EXPECT) {
    r->wants_continue = is(r->value, len, "100-continue");
    if (!r->wants_continue) ok = refuse(r, 417, "Expect");
  }
  return ok ? 0 : -1;
}

static int on_head(llhttp_t *p) {
  struct request *r = p->data;
  r->head_done = true;
  bool ok = true;
  if (!r->http_1_0 && r->hosts == 0) ok = refuse(r, 400, "no Host");
  if (r->http_1_0 && r->encodings > 0) ok = refuse(r, 400, "Transfer-Encoding in HTTP/1.0");
  if ((p->flags & F_CONTENT_LENGTH) != 0 && p->content_length > r->body_max) ok = refuse(r, 413, "body is too long");
  bool body = (p->flags & F_CHUNKED) != 0 || ((p->flags & F_CONTENT_LENGTH) != 0 && p->content_length > 0);
  r->wants_continue = r->wants_continue && body && !r->http_1_0;
  /* An upgrade is an offer that we decline: the request goes on as HTTP/1.1. */
  p->upgrade = 0;
  return ok ? 0 : -1;
}

static int on_body(llhttp_t *p, const char *data, size_t len) {
  struct request *r = p->data;
  if (len > r->body_max - r->body.len) {
    refuse(r, 413, "body is too long");
    return -1;
  }
  if (!buf_add(&r->body, data, len)) {
    refuse(r, 503, "out of memory");
    return -1;
  }
  return 0;
}

static int on_message(llhttp_t *p) {
  struct request *r = p->data;
  r->method = p->method;
  r->keep_alive = llhttp_should_keep_alive(p) != 0;
  r->wants_continue = false;
  return HPE_PAUSED; /* request_feed stops here, at the first byte of what follows */
}

static void start_parser(struct request *r) {
  static llhttp_settings_t settings;
  static bool settings_ready;
  if (!settings_ready) {
    llhttp_settings_init(&settings);
    settings.on_header_field = on_field;
    settings.on_header_field_complete = on_field_end;
    settings.on_header_value = on_value;
    settings.on_header_value_complete = on_value_end;
    settings.on_headers_complete = on_head;
    settings.on_body = on_body;
    settings.on_message_complete = on_message;
    settings_ready = true;
  }
  llhttp_init(&r->parser, HTTP_REQUEST, &settings);
  r->parser.data = r;
}

void request_init(struct request *r, size_t body_max) {
  memset(r, 0, sizeof *r);
  r->body_max = body_max;
  start_parser(r);
}

void request_reset(struct request *r) {
  buf_free(&r->body);
  request_init(r, r->body_max);
}

enum request_verdict request_feed(struct request *r, const char *data, size_t len, size_t *used) {
  *used = len;
  if (r->status != 0) return REQUEST_BAD;
  if (len > 0) r->begun = true;
  if (r->line_state != LINE_DONE && !scan_line(r, data, len)) return REQUEST_BAD;
  for (size_t fed = 0; fed < len;) {
    size_t n = len - fed;
    if (!r->head_done && n > REQUEST_HEAD_MAX - r->head_bytes) n = REQUEST_HEAD_MAX - r->head_bytes;
    llhttp_errno_t e = llhttp_execute(&r->parser, data + fed, n);
    if (e == HPE_PAUSED) {
      *used = (size_t)(llhttp_get_error_pos(&r->parser) - data);
      return REQUEST_DONE;
    }
    if (e != HPE_OK) {
      refuse(r, 400, llhttp_get_error_reason(&r->parser));
      return REQUEST_BAD;
    }
    fed += n;
    if (r->head_done) continue;
    r->head_bytes += n;
    if (r->head_bytes == REQUEST_HEAD_MAX) {
      refuse(r, 431, "headers are too long");
      return REQUEST_BAD;
    }
  }
  return REQUEST_MORE;
}
