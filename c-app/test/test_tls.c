/* rconn over TLS against a real redis-server, with certificates that the openssl program makes. */
#include "check.h"
#include "rconn.h"
#include "tls.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define BIG 300000 /* of a value: many records, and more than a socket takes at once */

static char dir[] = "/tmp/sessiond-tls-XXXXXX";
static pid_t server;
static unsigned port;
static const char *address = "127.0.0.1";
static const char *server_cert = "redis.pem", *server_key = "redis.key", *protocols = "TLSv1.2 TLSv1.3";

static struct {
  uv_loop_t loop;
  struct rconn *conn;
  void (*then)(void); /* when it is ready */
  unsigned ready, answered, unanswered, unsent, lost;
  size_t got;
  char why[160];
} t;

static const char *file(const char *name) {
  static char text[8][64];
  static unsigned next;
  char *out = text[next++ % 8];
  snprintf(out, sizeof text[0], "%s/%s", dir, name);
  return out;
}

/* A CA, and certificates of it: redis.pem for 127.0.0.1 and the name redis.test; rsa.pem has the other kind of key; dns.pem and
 * cn.pem have the address as a name only; old.pem is over. Another CA that nobody knows. */
static const char script[] =
    "set -e; cd %s; exec >log 2>&1; new='openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2'\n"
    "for ca in ca other; do $new -x509 -keyout $ca.key -out $ca.pem -subj /CN=$ca; done\n"
    "$new -keyout redis.key -out redis.csr -subj /CN=127.0.0.1\n"
    "openssl req -newkey rsa:2048 -nodes -keyout rsa.key -out rsa.csr -subj /CN=127.0.0.1\n"
    "sign() { echo \"$2\" >ext; openssl x509 -req -in ${4:-redis}.csr -CA ca.pem -CAkey ca.key -extfile ext -out $1.pem $3; }\n"
    "sign redis subjectAltName=IP:127.0.0.1,DNS:redis.test; sign dns 'subjectAltName=DNS:127.0.0.1,DNS:*.0.0.1,IP:127.0.0.9'; sign cn ''\n"
    "sign old subjectAltName=IP:127.0.0.1 '-not_before 20200101000000Z -not_after 20200102000000Z'\n"
    "sign rsa subjectAltName=IP:127.0.0.1 '' rsa\n"
    "openssl ec -in redis.key -aes128 -passout pass:x -out locked.key\n";

static unsigned free_port(void) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof at;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  assert_true(fd >= 0);
  assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
  assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
  close(fd);
  return ntohs(at.sin_port);
}

static bool accepts(void) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  bool yes = connect(fd, (struct sockaddr *)&to, sizeof to) == 0;
  close(fd);
  return yes;
}

static int start_server(void **state) {
  char port_text[8];
  (void)state;
  port = free_port();
  snprintf(port_text, sizeof port_text, "%u", port);
  server = fork();
  assert_true(server >= 0);
  if (server == 0) {
    int log = dup2(fileno(fopen(file("redis.log"), "w")), STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    execlp("redis-server", "redis-server", "--port", "0", "--tls-port", port_text, "--bind", "127.0.0.1", "127.0.0.2", "--save", "", "--requirepass",
           "secret", "--tls-cert-file", file(server_cert), "--tls-key-file", file(server_key), "--tls-ca-cert-file", file("ca.pem"),
           "--tls-auth-clients", "yes", "--tls-protocols", protocols, (char *)NULL);
    _exit(127);
  }
  for (int i = 0; i < 500 && !accepts(); i++) usleep(10000);
  assert_true(accepts());
  return 0;
}

static int stop_server(void **state) {
  (void)state;
  if (server > 0) {
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
  }
  server = 0;
  return 0;
}

static int make_certificates(void **state) {
  char command[sizeof script + sizeof dir];
  (void)state;
  assert_non_null(mkdtemp(dir));
  snprintf(command, sizeof command, script, dir);
  return system(command);
}

static int remove_all(void **state) {
  char command[64];
  (void)state;
  snprintf(command, sizeof command, "rm -rf %s", dir);
  return system(command);
}

static void on_reply(void *owner, const struct rconn_answer *a) {
  const redisReply *r = a->reply;
  (void)owner;
  if (r == NULL) {
    *(a->sent ? &t.unanswered : &t.unsent) += 1;
    return;
  }
  t.answered++;
  if (r->type == REDIS_REPLY_STRING) t.got = r->len;
  if (r->type == REDIS_REPLY_STRING) uv_stop(&t.loop);
}

static void on_ready(void *owner, struct rconn *c) {
  (void)owner;
  (void)c;
  t.ready++;
  t.then();
}

static void on_lost(void *owner, struct rconn *c, const char *why) {
  (void)owner;
  (void)c;
  t.lost++;
  t.conn = NULL;
  snprintf(t.why, sizeof t.why, "%s", why);
  uv_stop(&t.loop);
}

static void on_end(uv_timer_t *timer) { uv_stop(timer->loop); }

/* Connects and runs the loop until the connection is lost, GET is answered, or `ms` have passed. */
static void run_with(struct tls *tls, void (*then)(void), unsigned ms) {
  static const struct rconn_events events = {.ready = on_ready, .lost = on_lost};
  struct rconn_options o = {.addr = {.port = (uint16_t)port}, .user = "", .password = "secret", .tls = tls,
                            .timeout_ms = 2000, .ping_ms = 100, .dead_ms = 300};
  uv_timer_t end;
  memset(&t, 0, sizeof t);
  t.then = then;
  snprintf(o.addr.ip, sizeof o.addr.ip, "%s", address);
  assert_int_equal(uv_loop_init(&t.loop), 0);
  t.conn = rconn_open(&t.loop, &o, &events, NULL);
  assert_non_null(t.conn);
  uv_timer_init(&t.loop, &end);
  uv_timer_start(&end, on_end, ms, 0);
  uv_run(&t.loop, UV_RUN_DEFAULT);
  if (t.conn != NULL) rconn_close(t.conn);
  uv_close((uv_handle_t *)&end, NULL);
  uv_run(&t.loop, UV_RUN_DEFAULT);
  assert_int_equal(uv_loop_close(&t.loop), 0);
}

static void run(const char *ca, const char *cert, const char *name, void (*then)(void)) {
  char error[256] = "";
  bool own = cert[0] != '\0';
  struct tls *tls = tls_new(file(ca), own ? file(cert) : "", own ? file("redis.key") : "", name, error, sizeof error);
  if (tls == NULL) fail_msg("%s", error);
  run_with(tls, then, 3000);
  tls_free(tls);
}

static void set_and_get(void) {
  static char value[BIG];
  memset(value, 'v', sizeof value);
  rconn_begin(t.conn, "*3\r\n$3\r\nSET\r\n", 13);
  rconn_arg(t.conn, "key", 3);
  rconn_arg2(t.conn, value, 100000, value, BIG - 100000);
  assert_true(rconn_end(t.conn, on_reply, NULL, 0));
  rconn_flush(t.conn);
  assert_true(rconn_ask(t.conn, on_reply, NULL, 0, "GET", "key", NULL));
  rconn_flush(t.conn);
}

static void stop_it(void) { kill(server, SIGSTOP); }

static void kill_it(void) {
  kill(server, SIGSTOP);
  assert_true(rconn_ask(t.conn, on_reply, NULL, 0, "PING", NULL));
  rconn_flush(t.conn);
  assert_true(rconn_ask(t.conn, on_reply, NULL, 0, "PING", NULL));
  kill(server, SIGKILL);
}

static void it_signs_in_and_carries_large_values(void **state) {
  (void)state;
  run("ca.pem", "redis.pem", "", set_and_get);
  assert_string_equal(t.why, "");
  assert_int_equal(t.ready, 1);
  assert_int_equal(t.answered, 2);
  assert_int_equal(t.got, BIG);
}

static void serve_with(const char *cert, const char *key, const char *which) {
  stop_server(NULL);
  server_cert = cert;
  server_key = key;
  protocols = which;
  start_server(NULL);
  server_cert = "redis.pem";
  server_key = "redis.key";
  protocols = "TLSv1.2 TLSv1.3";
  run("ca.pem", "redis.pem", "", set_and_get);
}

static void it_speaks_tls_1_2_and_1_3_with_both_kinds_of_keys(void **state) {
  static const char *const table[][3] = {
      {"redis.pem", "redis.key", "TLSv1.2"},
      {"redis.pem", "redis.key", "TLSv1.3"},
      {"rsa.pem", "rsa.key", "TLSv1.2"},
      {"rsa.pem", "rsa.key", "TLSv1.3"},
  };
  (void)state;
  for (size_t i = 0; i < COUNT(table); i++) {
    serve_with(table[i][0], table[i][1], table[i][2]);
    assert_string_equal(t.why, "");
    assert_int_equal(t.answered, 2);
    assert_int_equal(t.got, BIG);
  }
}

static void the_peer_may_be_known_by_a_name(void **state) {
  (void)state;
  run("ca.pem", "redis.pem", "redis.test", set_and_get);
  assert_int_equal(t.answered, 2);
}

static void refused(const char *why) {
  assert_int_equal(t.ready, 0);
  assert_int_equal(t.lost, 1);
  if (strstr(t.why, why) == NULL) fail_msg("\"%s\" is not in \"%s\"", why, t.why);
}

static void a_wrong_name_is_refused(void **state) {
  (void)state;
  run("ca.pem", "redis.pem", "other.test", set_and_get);
  refused("another name or address");
}

static void a_certificate_for_another_address_is_refused(void **state) {
  char error[256];
  struct buf out = {0};
  struct tls *tls = tls_new(file("ca.pem"), "", "", "", error, sizeof error);
  struct tls_link *l = tls != NULL ? tls_open(tls, "127.0.0.1", &out) : NULL;
  (void)state;
  assert_non_null(l);
  assert_null(tls_open(tls, "not an address", &out));
  tls_free(tls);
  tls_close(l); /* the later of the two */
  address = "127.0.0.2";
  run("ca.pem", "redis.pem", "", set_and_get);
  refused("another name or address");
  run("ca.pem", "redis.pem", "redis.test", set_and_get);
  address = "127.0.0.1";
  assert_int_equal(t.answered, 2);
}

static void an_address_that_is_only_a_name_is_refused(void **state) {
  (void)state;
  serve_with("dns.pem", "redis.key", "TLSv1.2 TLSv1.3");
  refused("another name or address");
  serve_with("cn.pem", "redis.key", "TLSv1.2 TLSv1.3");
  refused("another name or address");
}

static void a_certificate_that_is_over_is_refused(void **state) {
  (void)state;
  serve_with("old.pem", "redis.key", "TLSv1.2 TLSv1.3");
  refused("expired");
}

static void an_unknown_authority_is_refused(void **state) {
  (void)state;
  run("other.pem", "redis.pem", "", set_and_get);
  refused("certificate");
}

static void a_server_that_wants_a_certificate_is_not_served_without(void **state) {
  (void)state;
  run("ca.pem", "", "", set_and_get);
  refused("certificate");
}

static void files_that_cannot_be_used_are_named(void **state) {
  static const struct {
    const char *ca, *cert, *key, *message;
  } table[] = {
      {"none.pem", "", "", "none.pem: No such file"},
      {"ca.key", "", "", "ca.key: "},
      {"ca.pem", "none.pem", "redis.key", "none.pem: No such file"},
      {"ca.pem", "redis.pem", "none.key", "none.key: No such file"},
      {"ca.pem", "redis.pem", "ca.key", "ca.key: does not fit the certificate"},
      {"ca.pem", "redis.pem", "locked.key", "locked.key: "},
  };
  (void)state;
  for (size_t i = 0; i < COUNT(table); i++) {
    char error[256] = "";
    bool own = table[i].cert[0] != '\0';
    assert_null(tls_new(file(table[i].ca), own ? file(table[i].cert) : "", own ? file(table[i].key) : "", "", error, sizeof error));
    if (strstr(error, table[i].message) == NULL) fail_msg("\"%s\" is not in \"%s\"", table[i].message, error);
  }
}

static void a_hung_server_is_given_up(void **state) {
  (void)state;
  run("ca.pem", "redis.pem", "", stop_it);
  assert_int_equal(t.ready, 1);
  assert_int_equal(t.lost, 1);
  assert_string_equal(t.why, "silent for too long");
}

static void a_server_that_hangs_in_the_handshake_is_given_up(void **state) {
  (void)state;
  kill(server, SIGSTOP);
  run("ca.pem", "redis.pem", "", set_and_get);
  refused("no connection and greeting in time");
  kill(server, SIGCONT);
}

static void a_lost_connection_says_what_was_encrypted(void **state) {
  (void)state;
  run("ca.pem", "redis.pem", "", kill_it);
  assert_int_equal(t.lost, 1);
  assert_int_equal(t.unanswered, 1);
  assert_int_equal(t.unsent, 1);
}

#define SERVED(name) cmocka_unit_test_setup_teardown(name, start_server, stop_server)

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(files_that_cannot_be_used_are_named),
      SERVED(it_signs_in_and_carries_large_values),
      SERVED(it_speaks_tls_1_2_and_1_3_with_both_kinds_of_keys),
      SERVED(the_peer_may_be_known_by_a_name),
      SERVED(a_wrong_name_is_refused),
      SERVED(a_certificate_for_another_address_is_refused),
      SERVED(an_address_that_is_only_a_name_is_refused),
      SERVED(a_certificate_that_is_over_is_refused),
      SERVED(an_unknown_authority_is_refused),
      SERVED(a_server_that_wants_a_certificate_is_not_served_without),
      SERVED(a_hung_server_is_given_up),
      SERVED(a_server_that_hangs_in_the_handshake_is_given_up),
      SERVED(a_lost_connection_says_what_was_encrypted),
  };
  return cmocka_run_group_tests(tests, make_certificates, remove_all);
}
