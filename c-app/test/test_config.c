#include "check.h"
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define S "sentinels = 10.0.0.1:26379\n"

static bool parse(struct config *c, const char *text, char *error) {
  char *copy = strdup(text);
  assert_non_null(copy);
  error[0] = '\0';
  bool ok = config_parse(c, copy, "f", error);
  free(copy);
  return ok;
}

static void a_minimal_file_gets_the_defaults(void **state) {
  struct config c;
  char error[CONFIG_ERROR_MAX];
  (void)state;
  assert_true(parse(&c, S, error));
  assert_int_equal(c.sentinel_count, 1);
  assert_string_equal(c.listen, "0.0.0.0");
  assert_string_equal(c.master_name, "mymaster");
  assert_int_equal(c.durability, CONFIG_REPLICATED);
  assert_int_equal(c.hold_ms, 3000);
  assert_int_equal(c.hold_max, 4096);
  assert_int_equal(c.redis_dead_ms, 600);
  assert_int_equal(c.body_max, 65536);
  assert_int_equal(c.wait_ms, 100);
  assert_int_equal(c.replica_priority, 100);
  assert_int_equal(c.exclude_after_ms, 300);
  assert_int_equal(c.request_id_ttl_s, 60);
  assert_int_equal(c.write_connections, 4);
  assert_int_equal(c.connections_max, 0);
  assert_string_equal(c.tls_ca, "");
}

static void every_key_is_read(void **state) {
  struct config c;
  char error[CONFIG_ERROR_MAX];
  (void)state;
  assert_true(parse(&c,
                    "# comment\n\n  \t# another\nlisten = ::1\nport=9\nsentinels = 10.0.0.1:1 ,[::2]:2,10.0.0.3:3\nmaster-name = m\n"
                    "sentinel-password = a b#c=d\nredis-user = u\nredis-password = \nsession-ttl-s = 1\ndurability = async\n"
                    "replicas-required = 2\nwait-ms = 3\nhold-ms = 0\nhold-max = 5\nredis-timeout-ms = 60\nredis-ping-ms = 70\n"
                    "redis-dead-ms = 80\nclient-timeout-ms = 90\nbody-max = 10\ndrain-ms = 11\nreplica-priority = 0\nexclude-after-ms = 12\n"
                    "request-id-ttl-s = 13\nwrite-connections = 14\nconnections-max = 15\ntls-ca = /a b\ntls-cert = c\ntls-key = d\n"
                    "tls-name = e",
                    error));
  assert_string_equal(c.listen, "::1");
  assert_int_equal(c.port, 9);
  assert_int_equal(c.sentinel_count, 3);
  assert_string_equal(c.sentinels[1].ip, "::2");
  assert_int_equal(c.sentinels[2].port, 3);
  assert_string_equal(c.sentinel_password, "a b#c=d");
  assert_string_equal(c.redis_user, "u");
  assert_string_equal(c.redis_password, "");
  assert_int_equal(c.durability, CONFIG_ASYNC);
  assert_int_equal(c.replicas_required, 2);
  assert_int_equal(c.hold_ms, 0);
  assert_int_equal(c.drain_ms, 11);
  assert_int_equal(c.replica_priority, 0);
  assert_int_equal(c.exclude_after_ms, 12);
  assert_int_equal(c.request_id_ttl_s, 13);
  assert_int_equal(c.write_connections, 14);
  assert_int_equal(c.connections_max, 15);
  assert_string_equal(c.tls_ca, "/a b");
  assert_string_equal(c.tls_cert, "c");
  assert_string_equal(c.tls_key, "d");
  assert_string_equal(c.tls_name, "e");
}

static void mistakes_are_refused_with_their_line(void **state) {
  static const struct {
    const char *text, *message;
  } table[] = {
      {"", "f:0: sentinels is not set"},
      {S "x = 1\n", "f:2: unknown key \"x\""},
      {S "\nport\n", "f:3: expected `key = value`"},
      {S "port = \n", "f:2: port must be a whole number from 0 to 65535"},
      {S "port = 65536\n", "f:2: port must be"},
      {S "port = -1\n", "f:2: port must be"},
      {S "port = +1\n", "f:2: port must be"},
      {S "port = 0x10\n", "f:2: port must be"},
      {S "port = 1 2\n", "f:2: port must be"},
      {S "hold-ms = 99999999999999999999\n", "f:2: hold-ms must be"},
      {S "port = 1\nport = 2\n", "f:3: port is already set in line 2"},
      {S "listen = localhost\n", "f:2: listen must be a numeric IP address"},
      {S "listen = 1.2.3\n", "f:2: listen must be"},
      {"sentinels = \n", "f:1: sentinels must be"},
      {"sentinels = 10.0.0.1\n", "f:1: sentinels must be"},
      {"sentinels = 10.0.0.1:0\n", "\"10.0.0.1:0\" is not"},
      {"sentinels = 10.0.0.1:1,\n", "f:1: sentinels must be"},
      {"sentinels = ::1:1\n", "f:1: sentinels must be"},
      {"sentinels = name:1\n", "\"name:1\" is not"},
      {S "durability = sync\n", "f:2: durability must be async, replicated or fsynced"},
      {S "replicas-required = 0\n", "f:2: replicas-required must be"},
      {S "master-name = a b\n", "master-name must be one word"},
      {S "redis-ping-ms = 600\n", "redis-dead-ms must be more than redis-ping-ms"},
      {S "redis-dead-ms = 300\n", "redis-dead-ms must be more than redis-ping-ms"},
      {S "replica-priority = 1001\n", "f:2: replica-priority must be a whole number from 0 to 1000"},
      {S "write-connections = 17\n", "f:2: write-connections must be"},
      {S "tls-ca = a\ntls-cert = b\n", "f:3: tls-cert and tls-key belong together"},
      {S "tls-ca = a\ntls-key = b\n", "tls-cert and tls-key belong together"},
      {S "tls-cert = a\ntls-key = b\n", "need tls-ca"},
      {S "tls-name = a\n", "need tls-ca"},
      {S "port = 1\r\n", "f:2: control character in column 9"},
  };
  struct config c;
  char error[CONFIG_ERROR_MAX];
  (void)state;
  for (size_t i = 0; i < COUNT(table); i++) {
    if (parse(&c, table[i].text, error)) fail_msg("accepted: %s", table[i].text);
    if (strstr(error, table[i].message) == NULL) fail_msg("\"%s\" is not in \"%s\"", table[i].message, error);
  }
}

static void no_message_holds_a_secret(void **state) {
  char text[4096], error[CONFIG_ERROR_MAX];
  struct config c;
  (void)state;
  static const char *const lines[] = {"redis-password hunter2", "redis-password = hunter2\nredis-password = hunter2",
                                      "sentinel-password = hunter2\001"};
  for (size_t i = 0; i < COUNT(lines); i++) {
    strcpy(text, lines[i]);
    assert_false(parse(&c, text, error));
    assert_null(strstr(error, "hunter2"));
  }
  strcpy(text, "redis-password = ");
  memset(text + strlen(text), 'h', 300);
  text[317] = '\0';
  assert_false(parse(&c, text, error));
  assert_null(strstr(error, "hh"));
}

static void a_prefix_of_a_file_never_crashes(void **state) {
  static const char text[] = S "redis-password = x\nlisten = ::\ndurability = async\n";
  struct config c;
  char error[CONFIG_ERROR_MAX];
  (void)state;
  for (size_t n = 0; n < sizeof text; n++) {
    char *start = strndup(text, n);
    assert_non_null(start);
    (void)config_parse(&c, start, "f", error);
    free(start);
  }
}

static void a_missing_file_is_an_error(void **state) {
  struct config c;
  char error[CONFIG_ERROR_MAX];
  (void)state;
  assert_false(config_load(&c, "/nonexistent/x", error));
  assert_string_equal(error, "/nonexistent/x: No such file or directory");
}

/* The first `len` bytes of `text`, as a file. */
static bool load(const char *text, size_t len, char *error) {
  char path[] = "/tmp/sessiond-config-XXXXXX";
  struct config c;
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, text, len), len);
  assert_int_equal(close(fd), 0);
  bool ok = config_load(&c, path, error);
  assert_int_equal(unlink(path), 0);
  return ok;
}

static void a_file_is_read_whole_or_refused(void **state) {
  static const char nul[] = S "port = 1\0\nport = 2\n";
  static char large[70000];
  char error[CONFIG_ERROR_MAX];
  (void)state;
  memset(large, '\n', sizeof large);
  memcpy(large, S, strlen(S));
  assert_true(load(large, 60000, error));
  assert_false(load(large, sizeof large, error));
  assert_non_null(strstr(error, "larger than"));
  assert_false(load(nul, sizeof nul - 1, error));
  assert_non_null(strstr(error, "holds a NUL"));
}

static void the_example_is_valid(void **state) {
  struct config c;
  char error[CONFIG_ERROR_MAX] = "";
  (void)state;
  if (!config_load(&c, "sessiond.conf.example", error)) fail_msg("%s", error);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_minimal_file_gets_the_defaults), cmocka_unit_test(every_key_is_read),
      cmocka_unit_test(mistakes_are_refused_with_their_line), cmocka_unit_test(no_message_holds_a_secret),
      cmocka_unit_test(a_prefix_of_a_file_never_crashes), cmocka_unit_test(a_missing_file_is_an_error),
      cmocka_unit_test(a_file_is_read_whole_or_refused), cmocka_unit_test(the_example_is_valid),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
