#define _GNU_SOURCE /* memmem */
/* The parser of the config file: what it accepts lies inside the ranges, what it refuses has a message of one line without any
 * secret, and both are the same the second time. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define SECRET "Zq7-secret-Zq7" /* long enough that no message holds it by chance */
#define TEXT_MAX 8192

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds) {
  if (!holds) abort();
}

static void within(unsigned value, unsigned min, unsigned max) { must(value >= min && value <= max); }

static void text(const char *field) { must(memchr(field, '\0', CONFIG_TEXT_MAX) != NULL); }

static void address(const struct addr *a) {
  struct sockaddr_storage out;
  must(memchr(a->ip, '\0', sizeof a->ip) != NULL && a->port != 0 && addr_sockaddr(a->ip, a->port, &out));
}

static void check_accepted(const struct config *c) {
  const char *const texts[] = {c->listen,         c->master_name, c->sentinel_password, c->redis_user, c->redis_password,
                               c->tls_ca,         c->tls_cert,    c->tls_key,           c->tls_name};
  struct addr listen = {.port = 1};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) text(texts[i]);
  memcpy(listen.ip, c->listen, sizeof listen.ip);
  address(&listen);
  must(c->sentinel_count >= 1 && c->sentinel_count <= CONFIG_SENTINELS_MAX);
  for (size_t i = 0; i < c->sentinel_count; i++) address(&c->sentinels[i]);
  must(c->master_name[0] != '\0' && strpbrk(c->master_name, " \t") == NULL);
  must(c->durability == CONFIG_ASYNC || c->durability == CONFIG_REPLICATED || c->durability == CONFIG_FSYNCED);
  must((c->tls_cert[0] != '\0') == (c->tls_key[0] != '\0'));
  must(c->tls_ca[0] != '\0' || (c->tls_cert[0] == '\0' && c->tls_name[0] == '\0'));
  within(c->port, 0, 65535);
  within(c->session_ttl_s, 1, 31536000);
  within(c->replicas_required, 1, 16);
  within(c->replica_priority, 0, 1000);
  within(c->exclude_after_ms, 10, 60000);
  within(c->wait_ms, 1, 60000);
  within(c->request_id_ttl_s, 1, 86400);
  within(c->write_connections, 1, 16);
  within(c->hold_ms, 0, 60000);
  within(c->hold_max, 1, 1000000);
  within(c->redis_timeout_ms, 10, 60000);
  within(c->redis_ping_ms, 10, 60000);
  within(c->redis_dead_ms, c->redis_ping_ms + 1, 120000);
  within(c->client_timeout_ms, 10, 600000);
  within(c->connections_max, 0, 1000000);
  within(c->body_max, 1, 16777216);
  within(c->drain_ms, 0, 600000);
}

static void check_refused(const char error[CONFIG_ERROR_MAX]) {
  must(memchr(error, '\0', CONFIG_ERROR_MAX) != NULL && strncmp(error, "f:", 2) == 0 && strlen(error) > 4);
  for (const char *p = error; *p != '\0'; p++) must(((unsigned char)*p >= 0x20 || *p == '\t') && *p != 0x7f);
  must(strstr(error, SECRET) == NULL);
}

/* The first byte says where secrets are put: nowhere, in the lines before, in the line that the input ends or goes on with. */
static size_t compose(char *out, const uint8_t *data, size_t size) {
  static const char lines[] = "redis-password = " SECRET "\nsentinel-password=" SECRET "\n", open[] = "redis-password=" SECRET;
  static const char last[] = "\nsentinel-password = " SECRET;
  const char *const before[] = {"", lines, open, ""}, *const after[] = {"", "", "\n", last};
  unsigned mode = data[0] % 4;
  size_t len = strlen(before[mode]);
  memcpy(out, before[mode], len);
  memcpy(out + len, data + 1, size - 1);
  len += size - 1;
  memcpy(out + len, after[mode], strlen(after[mode]));
  return len + strlen(after[mode]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct config c, again;
  char error[CONFIG_ERROR_MAX] = "", error_again[CONFIG_ERROR_MAX] = "", in[TEXT_MAX];
  if (size == 0 || size > TEXT_MAX - 256 || memmem(data, size, SECRET, strlen(SECRET)) != NULL) return 0;
  size_t len = compose(in, data, size);
  if (memchr(in, '\0', len) != NULL) return 0; /* config_load refuses such a file */
  in[len] = '\0';
  char *exact = strdup(in), *exact_again = strdup(in); /* so that the sanitizer sees a read past the end */
  must(exact != NULL && exact_again != NULL);
  memset(&c, 0, sizeof c);
  memset(&again, 0xff, sizeof again);
  bool ok = config_parse(&c, exact, "f", error);
  bool ok_again = config_parse(&again, exact_again, "f", error_again);
  free(exact);
  free(exact_again);
  must(ok == ok_again && strcmp(error, error_again) == 0);
  if (ok) {
    check_accepted(&c);
    must(memcmp(&c.sentinels, &again.sentinels, sizeof c.sentinels) == 0 && memcmp(&c, &again, sizeof c) == 0);
  } else {
    check_refused(error);
  }
  return 0;
}
