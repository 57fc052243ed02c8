#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX 65536

const char *const config_durabilities[] = {[CONFIG_ASYNC] = "async", [CONFIG_REPLICATED] = "replicated", [CONFIG_FSYNCED] = "fsynced"};

struct parser {
  struct config *c;
  const char *file;
  char *error;
  unsigned line;
  unsigned *seen; /* the line that set each key */
};

struct key {
  const char *name;
  bool (*set)(const struct parser *p, const struct key *k, char *value);
  size_t offset;
  unsigned min, max, initial; /* of a number */
};

/* Always false. */
static bool __attribute__((format(printf, 2, 3))) wrong(const struct parser *p, const char *format, ...) {
  va_list ap;
  int n = snprintf(p->error, CONFIG_ERROR_MAX, "%.255s:%u: ", p->file, p->line);
  va_start(ap, format);
  vsnprintf(p->error + n, (size_t)(CONFIG_ERROR_MAX - n), format, ap);
  va_end(ap);
  return false;
}

static char *trim(char *text) {
  text += strspn(text, " \t");
  size_t len = strlen(text);
  while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t')) text[--len] = '\0';
  return text;
}

/* Digits only: no sign, no blank, no unit. */
static bool set_number(const struct parser *p, const struct key *k, char *value) {
  size_t digits = strspn(value, "0123456789");
  unsigned long n = strtoul(value, NULL, 10);
  if (digits == 0 || value[digits] != '\0' || n < k->min || n > k->max) {
    return wrong(p, "%s must be a whole number from %u to %u", k->name, k->min, k->max);
  }
  *(unsigned *)(void *)((char *)p->c + k->offset) = (unsigned)n;
  return true;
}

static bool set_sentinels(const struct parser *p, const struct key *k, char *value) {
  struct config *c = p->c;
  for (char *item; (item = strsep(&value, ",")) != NULL; c->sentinel_count++) {
    item = trim(item);
    if (c->sentinel_count == CONFIG_SENTINELS_MAX || !addr_parse(&c->sentinels[c->sentinel_count], item)) {
      return wrong(p, "%s must be 1 to %d of ip:port or [ipv6]:port, separated by commas; \"%.80s\" is not", k->name,
                   CONFIG_SENTINELS_MAX, item);
    }
  }
  return true;
}

static bool set_durability(const struct parser *p, const struct key *k, char *value) {
  enum config_durability d = CONFIG_ASYNC;
  while (d < CONFIG_DURABILITIES && strcmp(value, config_durabilities[d]) != 0) d++;
  p->c->durability = d;
  return d < CONFIG_DURABILITIES || wrong(p, "%s must be async, replicated or fsynced", k->name);
}

/* The message does not repeat a text: it may be a password. */
static bool set_text(const struct parser *p, const struct key *k, char *value) {
  if (strlen(value) >= CONFIG_TEXT_MAX) return wrong(p, "%s is longer than %d bytes", k->name, CONFIG_TEXT_MAX - 1);
  strcpy((char *)p->c + k->offset, value);
  return true;
}

static bool set_ip(const struct parser *p, const struct key *k, char *value) {
  struct addr ip;
  return addr_set(&ip, value, "1") ? set_text(p, k, ip.ip) : wrong(p, "%s must be a numeric IP address", k->name);
}

#define FIELD(f) offsetof(struct config, f)

static const struct key keys[] = {
    {"listen", set_ip, FIELD(listen), 0, 0, 0},
    {"port", set_number, FIELD(port), 0, 65535, 8080},
    {"sentinels", set_sentinels, 0, 0, 0, 0},
    {"master-name", set_text, FIELD(master_name), 0, 0, 0},
    {"sentinel-password", set_text, FIELD(sentinel_password), 0, 0, 0},
    {"redis-user", set_text, FIELD(redis_user), 0, 0, 0},
    {"redis-password", set_text, FIELD(redis_password), 0, 0, 0},
    {"tls-ca", set_text, FIELD(tls_ca), 0, 0, 0},
    {"tls-cert", set_text, FIELD(tls_cert), 0, 0, 0},
    {"tls-key", set_text, FIELD(tls_key), 0, 0, 0},
    {"tls-name", set_text, FIELD(tls_name), 0, 0, 0},
    {"session-ttl-s", set_number, FIELD(session_ttl_s), 1, 31536000, 3600},
    {"durability", set_durability, 0, 0, 0, 0},
    {"replicas-required", set_number, FIELD(replicas_required), 1, 16, 1},
    {"replica-priority", set_number, FIELD(replica_priority), 0, 1000, 100},
    {"exclude-after-ms", set_number, FIELD(exclude_after_ms), 10, 60000, 300},
    {"wait-ms", set_number, FIELD(wait_ms), 1, 60000, 100},
    {"request-id-ttl-s", set_number, FIELD(request_id_ttl_s), 1, 86400, 60},
    {"write-connections", set_number, FIELD(write_connections), 1, 16, 4},
    {"hold-ms", set_number, FIELD(hold_ms), 0, 60000, 3000},
    {"hold-max", set_number, FIELD(hold_max), 1, 1000000, 4096},
    {"redis-timeout-ms", set_number, FIELD(redis_timeout_ms), 10, 60000, 1000},
    {"redis-ping-ms", set_number, FIELD(redis_ping_ms), 10, 60000, 300},
    {"redis-dead-ms", set_number, FIELD(redis_dead_ms), 20, 120000, 600},
    {"client-timeout-ms", set_number, FIELD(client_timeout_ms), 10, 600000, 10000},
    {"connections-max", set_number, FIELD(connections_max), 0, 1000000, 0},
    {"body-max", set_number, FIELD(body_max), 1, 16777216, 65536},
    {"drain-ms", set_number, FIELD(drain_ms), 0, 600000, 5000},
};
#define KEYS (sizeof keys / sizeof keys[0])

static bool set(const struct parser *p, const char *name, char *value) {
  size_t i = 0;
  while (i < KEYS && strcmp(keys[i].name, name) != 0) i++;
  if (i == KEYS) return wrong(p, "unknown key \"%.40s\"", name);
  if (p->seen[i] != 0) return wrong(p, "%s is already set in line %u", name, p->seen[i]);
  p->seen[i] = p->line;
  return keys[i].set(p, &keys[i], value);
}

/* A line may be a password with its key forgotten: no message repeats it. */
static bool parse_line(const struct parser *p, char *line) {
  for (const char *at = line; *at != '\0'; at++) {
    if (iscntrl((unsigned char)*at) && *at != '\t') return wrong(p, "control character in column %d", (int)(at - line) + 1);
  }
  line = trim(line);
  if (*line == '\0' || *line == '#') return true;
  char *equals = strchr(line, '=');
  if (equals == NULL) return wrong(p, "expected `key = value`");
  *equals = '\0';
  return set(p, trim(line), trim(equals + 1));
}

/* What no line says by itself. */
static bool check(const struct parser *p) {
  const struct config *c = p->c;
  bool ca = c->tls_ca[0] != '\0', cert = c->tls_cert[0] != '\0', key = c->tls_key[0] != '\0';
  if (c->sentinel_count == 0) return wrong(p, "sentinels is not set: list them as sentinels = ip:port, ip:port");
  if (c->master_name[0] == '\0' || strpbrk(c->master_name, " \t") != NULL) return wrong(p, "master-name must be one word");
  if (c->request_id_ttl_s * 1000ULL <= (unsigned long long)c->hold_ms + c->redis_timeout_ms) {
    return wrong(p, "request-id-ttl-s must be longer than hold-ms and redis-timeout-ms together");
  }
  if (c->redis_dead_ms <= c->redis_ping_ms) return wrong(p, "redis-dead-ms must be more than redis-ping-ms");
  if (cert != key) return wrong(p, "tls-cert and tls-key belong together: set both or none");
  if (!ca && (cert || c->tls_name[0] != '\0')) return wrong(p, "tls-cert, tls-key and tls-name need tls-ca, which turns TLS on");
  return true;
}

bool config_parse(struct config *c, char *text, const char *name, char error[static CONFIG_ERROR_MAX]) {
  struct parser p = {.c = c, .file = name, .error = error, .seen = (unsigned[KEYS]){0}};
  *c = (struct config){.listen = "0.0.0.0", .master_name = "mymaster", .durability = CONFIG_REPLICATED};
  for (size_t i = 0; i < KEYS; i++) {
    if (keys[i].set == set_number) *(unsigned *)(void *)((char *)c + keys[i].offset) = keys[i].initial;
  }
  while (text != NULL && text[0] != '\0') {
    p.line++;
    if (!parse_line(&p, strsep(&text, "\n"))) return false;
  }
  return check(&p);
}

bool config_set(struct config *c, const char *key, char *value, const char *name, char error[static CONFIG_ERROR_MAX]) {
  struct parser p = {.c = c, .file = name, .error = error, .line = 1, .seen = (unsigned[KEYS]){0}};
  return set(&p, key, value);
}

bool config_load(struct config *c, const char *path, char error[static CONFIG_ERROR_MAX]) {
  static char text[FILE_MAX];
  FILE *file = fopen(path, "re");
  size_t len = file != NULL ? fread(text, 1, sizeof text - 1, file) : 0;
  bool read = file != NULL && ferror(file) == 0;
  if (!read) snprintf(error, CONFIG_ERROR_MAX, "%s: %s", path, strerror(errno));
  if (file != NULL) fclose(file);
  if (!read) return false;
  text[len] = '\0';
  if (strlen(text) == len && len < sizeof text - 1) return config_parse(c, text, path, error);
  snprintf(error, CONFIG_ERROR_MAX, "%s: holds a NUL, or is larger than %d bytes", path, FILE_MAX - 2);
  return false;
}
