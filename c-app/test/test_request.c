#include "check.h"
#include "request.h"

#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#define BODY_MAX 32
#define H "Host: h\r\n"
#define LONG_HALF "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define LONG LONG_HALF LONG_HALF /* REQUEST_VALUE_MAX characters */

struct outcome {
  enum request_verdict verdict;
  int status;
  size_t used; /* until the verdict */
  char target[REQUEST_TARGET_MAX + 1];
  char body[BODY_MAX + 1];
  int method;
  bool keep_alive;
};

/* Feeds `text` cut at `cut` (0: in one piece; -1: byte by byte). Each piece is its own allocation, for ASan. */
static struct outcome read_request(const char *text, size_t len, long cut) {
  struct request r = {0};
  struct outcome o = {.verdict = REQUEST_MORE};
  request_init(&r, BODY_MAX);
  for (size_t at = 0; at < len && o.verdict == REQUEST_MORE;) {
    size_t n = cut == -1 ? 1 : cut > 0 && at < (size_t)cut ? (size_t)cut - at : len - at;
    if (n > len - at) n = len - at;
    char *piece = malloc(n);
    assert_non_null(piece);
    memcpy(piece, text + at, n);
    size_t used = 0;
    o.verdict = request_feed(&r, piece, n, &used);
    assert_true(used <= n);
    if (o.verdict == REQUEST_MORE) assert_int_equal(used, n);
    free(piece);
    o.used += used;
    at += used;
  }
  o.status = r.status;
  if (o.verdict == REQUEST_DONE) {
    strcpy(o.target, r.target);
    memcpy(o.body, r.body.len > 0 ? r.body.data : "", r.body.len);
    o.method = r.method;
    o.keep_alive = r.keep_alive;
  }
  request_free(&r);
  return o;
}

static void assert_same(const char *text, long cut, const struct outcome *a, const struct outcome *b) {
  bool same = a->verdict == b->verdict && a->status == b->status;
  if (a->verdict == REQUEST_DONE) {
    same = same && a->used == b->used && strcmp(a->target, b->target) == 0 && strcmp(a->body, b->body) == 0 &&
           a->method == b->method && a->keep_alive == b->keep_alive;
  }
  if (!same) fail_msg("cut at %ld: verdict %d status %d used %zu, whole: %d %d %zu, of: %s", cut, a->verdict, a->status, a->used, b->verdict, b->status, b->used, text);
}

static struct outcome read_all_ways(const char *text, size_t len) {
  struct outcome whole = read_request(text, len, 0);
  for (long cut = -1; cut < (long)len; cut++) {
    struct outcome o = read_request(text, len, cut);
    assert_same(text, cut, &o, &whole);
  }
  return whole;
}

static void good_requests_are_read_however_they_are_cut(void **state) {
  static const struct {
    const char *text, *target, *body;
    int method;
    bool keep_alive;
  } table[] = {
      {"GET / HTTP/1.1\r\n" H "\r\n", "/", "", HTTP_GET, true},
      {"\r\nGET / HTTP/1.1\r\n" H "\r\n", "/", "", HTTP_GET, true},
      {"HEAD /a?b=c HTTP/1.1\r\nhOsT:h\r\n\r\n", "/a?b=c", "", HTTP_HEAD, true},
      {"GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n", "/", "", HTTP_GET, false},
      {"GET / HTTP/1.0\r\n\r\n", "/", "", HTTP_GET, false},
      {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "/", "", HTTP_GET, true},
      {"PUT /x HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello", "/x", "hello", HTTP_PUT, true},
      {"PUT /x HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n", "/x", "", HTTP_PUT, true},
      {"PUT /x HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n", "/x", "hello", HTTP_PUT, true},
      {"PUT /x HTTP/1.1\r\n" H "Transfer-Encoding: Chunked \r\n\r\n1\r\nh\r\n0\r\nTrailer: t\r\nHost: other\r\n\r\n", "/x", "h", HTTP_PUT, true},
      {"PUT /x HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 1\r\n\r\nh", "/x", "h", HTTP_PUT, true},
      {"GET / HTTP/1.1\r\n" H "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n", "/", "", HTTP_GET, true},
      {"OPTIONS * HTTP/1.1\r\n" H "\r\n", "*", "", HTTP_OPTIONS, true},
      {"DELETE /x HTTP/1.1\r\n" H "X-Long-Header-Name-Beyond-The-Buffer: v\r\n\r\n", "/x", "", HTTP_DELETE, true},
      {"POST /x HTTP/1.1\r\n" H "Content-Length: 32\r\n\r\n01234567890123456789012345678901", "/x", "01234567890123456789012345678901", HTTP_POST, true},
  };
  (void)state;
  for (size_t i = 0; i < COUNT(table); i++) {
    struct outcome o = read_all_ways(table[i].text, strlen(table[i].text));
    if (o.verdict != REQUEST_DONE) fail_msg("verdict %d, status %d: %s", o.verdict, o.status, table[i].text);
    assert_int_equal(o.used, strlen(table[i].text));
    assert_string_equal(o.target, table[i].target);
    assert_string_equal(o.body, table[i].body);
    assert_int_equal(o.method, table[i].method);
    assert_int_equal(o.keep_alive, table[i].keep_alive);
    /* A second request behind it is left alone, and the request without its last byte is not complete. */
    char two[512];
    snprintf(two, sizeof two, "%sGET /second HTTP/1.1\r\n", table[i].text);
    o = read_all_ways(two, strlen(two));
    assert_int_equal(o.verdict, REQUEST_DONE);
    assert_int_equal(o.used, strlen(table[i].text));
    assert_int_equal(read_request(table[i].text, strlen(table[i].text) - 1, 0).verdict, REQUEST_MORE);
  }
}

static void bad_requests_are_refused_however_they_are_cut(void **state) {
  static const struct {
    const char *text;
    int status;
  } table[] = {
      {"GET /\r\n", 400},
      {"GET /\n", 400},
      {"GET / HTTP/1.1\n" H "\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: h\n\r\n", 400},
      {"GET / HTTP/1.1\r\n" H "\n", 400},
      {"\nGET / HTTP/1.1\r\n" H "\r\n", 400},
      {"\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n", 400},
      {" GET / HTTP/1.1\r\n" H "\r\n", 400},
      {"get / HTTP/1.1\r\n" H "\r\n", 400},
      {"G@T / HTTP/1.1\r\n" H "\r\n", 400},
      {"NOSUCH / HTTP/1.1\r\n" H "\r\n", 400},
      {"AAAAAAAAAAAAAAAAAAAAAAAAA\r\n", 400},
      {"GET  / HTTP/1.1\r\n" H "\r\n", 400},
      {"GET /  HTTP/1.1\r\n" H "\r\n", 400},
      {"GET / HTTP/1.1 \r\n" H "\r\n", 400},
      {"GET\t/ HTTP/1.1\r\n" H "\r\n", 400},
      {"GET /a#b HTTP/1.1\r\n" H "\r\n", 400},
      {"GET /\x80 HTTP/1.1\r\n" H "\r\n", 400},
      {"GET /\x01 HTTP/1.1\r\n" H "\r\n", 400},
      {"GET a HTTP/1.1\r\n" H "\r\n", 400},
      {"GET http://h/ HTTP/1.1\r\n" H "\r\n", 400},
      {"CONNECT h:1 HTTP/1.1\r\n" H "\r\n", 400},
      {"GET / HTTP/2.0\r\n" H "\r\n", 505},
      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {"GET / HTTP/1.2\r\n" H "\r\n", 505},
      {"GET / HTTP/0.9\r\n" H "\r\n", 505},
      {"GET / HTTP/11.1\r\n" H "\r\n", 400},
      {"GET / http/1.1\r\n" H "\r\n", 400},
      {"GET / HTTP/1.1\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n" H H "\r\n", 400},
      {"GET / HTTP/1.0\r\n" H H "\r\n", 400},
      {"GET / HTTP/1.1\r\n" H " folded\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n" H "X: a\r\n folded\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n" H "X : a\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n" H "X\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n" H ": a\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n" H "X: a\001b\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n" H "X: a\rb\r\n\r\n", 400},
      {"PUT / HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400},
      {"PUT / HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400},
      {"PUT / HTTP/1.1\r\n" H "Content-Length: 5, 5\r\n\r\nhello", 400},
      {"PUT / HTTP/1.1\r\n" H "Content-Length: 5 5\r\n\r\nhello", 400},
      {"PUT / HTTP/1.1\r\n" H "Content-Length: +5\r\n\r\nhello", 400},
      {"PUT / HTTP/1.1\r\n" H "Content-Length: -5\r\n\r\nhello", 400},
      {"PUT / HTTP/1.1\r\n" H "Content-Length: 0x5\r\n\r\nhello", 400},
      {"PUT / HTTP/1.1\r\n" H "Content-Length: \r\n\r\n", 400},
      {"PUT / HTTP/1.1\r\n" H "Content-Length: 18446744073709551617\r\n\r\n", 400},
      {"PUT / HTTP/1.1\r\n" H "Content-Length: 33\r\n\r\n", 413},
      {"PUT / HTTP/1.1\r\n" H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"PUT / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400},
      {"PUT / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"PUT / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"PUT / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n\r\n", 400},
      {"PUT / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400},
      {"PUT / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400},
      {"PUT / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400},
      {"PUT / HTTP/1.1\r\n" H "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", 400},
      {"PUT / HTTP/1.1\r\n" H "Transfer-Encoding: a-value-that-is-longer-than-kept\r\n\r\n", 400},
      {"PUT / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\ng\r\n", 400},
      {"PUT / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n-1\r\n", 400},
      {"PUT / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1 \r\nh\r\n0\r\n\r\n", 400},
      {"PUT / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1\nh\r\n0\r\n\r\n", 400},
      {"PUT / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1\r\nhx\r\n0\r\n\r\n", 400},
      {"PUT / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1\r\nh0\r\n\r\n", 400},
      {"PUT / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 400},
      {"PUT / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n21\r\n012345678901234567890123456789012\r\n", 413},
      {"PUT / HTTP/1.1\r\n" H "Expect: 200-ok\r\nContent-Length: 1\r\n\r\nh", 417},
  };
  (void)state;
  for (size_t i = 0; i < COUNT(table); i++) {
    struct outcome o = read_all_ways(table[i].text, strlen(table[i].text));
    if (o.verdict != REQUEST_BAD) fail_msg("verdict %d: %s", o.verdict, table[i].text);
    if (o.status != table[i].status) fail_msg("status %d, expected %d: %s", o.status, table[i].status, table[i].text);
  }
}

static void a_nul_byte_is_refused_anywhere(void **state) {
  static const char good[] = "GET /x HTTP/1.1\r\nHost: h\r\nX: ab\r\n\r\n";
  (void)state;
  for (size_t at = 0; at + 5 < sizeof good; at++) {
    char bad[sizeof good];
    memcpy(bad, good, sizeof good);
    bad[at] = '\0';
    struct outcome o = read_all_ways(bad, sizeof good - 1);
    if (o.verdict != REQUEST_BAD) fail_msg("accepted a NUL at %zu", at);
  }
}

/* "PREFIX" fill x n "SUFFIX" */
static struct outcome read_long(const char *prefix, size_t n, const char *suffix, long cut) {
  char *text = malloc(strlen(prefix) + n + strlen(suffix) + 1);
  assert_non_null(text);
  size_t len = strlen(prefix);
  memcpy(text, prefix, len);
  memset(text + len, 'a', n);
  strcpy(text + len + n, suffix);
  struct outcome o = read_request(text, len + n + strlen(suffix), cut);
  free(text);
  return o;
}

static void limits_hold_exactly(void **state) {
  static const char end[] = " HTTP/1.1\r\n" H "\r\n";
  static const char head[] = "GET / HTTP/1.1\r\n" H "X: ";
  size_t fits = REQUEST_HEAD_MAX - strlen(head) - 4;
  (void)state;
  for (long cut = -1; cut <= 300; cut++) {
    assert_int_equal(read_long("GET /", REQUEST_TARGET_MAX - 1, end, cut).verdict, REQUEST_DONE);
    assert_int_equal(read_long("GET /", REQUEST_TARGET_MAX, end, cut).status, 414);
  }
  for (long cut = -1; cut <= 1; cut++) {
    assert_int_equal(read_long(head, fits, "\r\n\r\n", cut).verdict, REQUEST_DONE);
    assert_int_equal(read_long(head, fits + 1, "\r\n\r\n", cut).status, 431);
    assert_int_equal(read_long("PUT / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\nT: ", 9000, "\r\n\r\n", cut).status, 431);
  }
}

static void a_client_that_waits_for_100_is_noticed(void **state) {
  static const char head[] = "PUT / HTTP/1.1\r\n" H "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\n";
  struct request r = {0};
  size_t used;
  (void)state;
  request_init(&r, BODY_MAX);
  for (size_t at = 0; at < sizeof head - 1; at++) {
    assert_false(r.wants_continue);
    assert_int_equal(request_feed(&r, head + at, 1, &used), REQUEST_MORE);
  }
  assert_true(r.wants_continue);
  assert_int_equal(request_feed(&r, "h", 1, &used), REQUEST_DONE);
  assert_false(r.wants_continue);
  request_init(&r, BODY_MAX);
  assert_int_equal(request_feed(&r, "GET / HTTP/1.1\r\n" H "\r\n", 27, &used), REQUEST_DONE);
  request_free(&r);
}

/* The text of a kept header, "" for none and "!" for one that was given but cannot be used. */
static const char *kept(const struct request *r, enum request_header which) {
  static char text[REQUEST_VALUE_MAX + 1];
  if (!r->header[which].given) return "";
  memcpy(text, r->header[which].text, r->header[which].len);
  text[r->header[which].len] = '\0';
  return r->header[which].len > 0 ? text : "!";
}

static void kept_headers_are_whole_however_they_are_cut(void **state) {
  static const struct {
    const char *lines, *id, *match, *none;
  } table[] = {
      {"", "", "", ""},
      {"x-request-ID: Ab-1\r\nIf-Match: *\r\nIf-None-Match: \"x\"\r\n", "Ab-1", "*", "\"x\""},
      {"X-Request-Id:a \t\r\nIf-Match:\r\n", "a", "!", ""},
      {"X-Request-Id: a\r\nX-Request-Id: a\r\n", "!", "", ""},
      {"X-Request-Idd: a\r\nX-Request-I: a\r\n", "", "", ""},
      {"X-Request-Id: " LONG "\r\n", LONG, "", ""},
      {"X-Request-Id: " LONG "a\r\nIf-Match: b\r\n", "!", "b", ""},
  };
  (void)state;
  for (size_t i = 0; i < COUNT(table); i++) {
    char text[512];
    int len = snprintf(text, sizeof text, "PUT / HTTP/1.1\r\n" H "%s\r\n", table[i].lines);
    struct request r = {0};
    for (int cut = 1; cut < len; cut++) {
      size_t used;
      request_init(&r, BODY_MAX);
      assert_int_equal(request_feed(&r, text, (size_t)cut, &used), REQUEST_MORE);
      assert_int_equal(request_feed(&r, text + cut, (size_t)(len - cut), &used), REQUEST_DONE);
      assert_string_equal(kept(&r, REQUEST_ID), table[i].id);
      assert_string_equal(kept(&r, REQUEST_IF_MATCH), table[i].match);
      assert_string_equal(kept(&r, REQUEST_IF_NONE_MATCH), table[i].none);
    }
    request_free(&r);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(good_requests_are_read_however_they_are_cut), cmocka_unit_test(bad_requests_are_refused_however_they_are_cut),
      cmocka_unit_test(a_nul_byte_is_refused_anywhere), cmocka_unit_test(limits_hold_exactly),
      cmocka_unit_test(a_client_that_waits_for_100_is_noticed), cmocka_unit_test(kept_headers_are_whole_however_they_are_cut),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
