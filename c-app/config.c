#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX 65536
#define LINE_MAX_BYTES 2048

enum kind { NUMBER, TEXT, IP, SENTINELS, DURABILITY };

struct key {
  const char *name;
  enum kind kind;
  size_t offset;
  unsigned min, max, initial; /* of a NUMBER */
};

#define FIELD(f) offsetof(struct config, f)

static const struct key keys[] = {
    {"listen", IP, FIELD(listen), 0, 0, 0},
    {"port", NUMBER, FIELD(port), 0, 65535, 8080},
    {"sentinels", SENTINELS, FIELD(sentinels), 0, 0, 0},
    {"master-name", TEXT, FIELD(master_name), 0, 0, 0},
    {"sentinel-password", TEXT, FIELD(sentinel_password), 0, 0, 0},
    {"redis-user", TEXT, FIELD(redis_user), 0, 0, 0},
    {"redis-password", TEXT, FIELD(redis_password), 0, 0, 0},
    {"tls-ca", TEXT, FIELD(tls_ca), 0, 0, 0},
    {"tls-cert", TEXT, FIELD(tls_cert), 0, 0, 0},
    {"tls-key", TEXT, FIELD(tls_key), 0, 0, 0},
    {"tls-name", TEXT, FIELD(tls_name), 0, 0, 0},
    {"session-ttl-s", NUMBER, FIELD(session_ttl_s), 1, 31536000, 3600},
    {"durability", DURABILITY, 0, 0, 0, 0},
    {"replicas-required", NUMBER, FIELD(replicas_required), 1, 16, 1},
    {"replica-priority", NUMBER, FIELD(replica_priority), 0, 1000, 100},
    {"exclude-after-ms", NUMBER, FIELD(exclude_after_ms), 10, 60000, 300},
    {"wait-ms", NUMBER, FIELD(wait_ms), 1, 60000, 100},
    {"request-id-ttl-s", NUMBER, FIELD(request_id_ttl_s), 1, 86400, 60},
    {"write-connections", NUMBER, FIELD(write_connections), 1, 16, 4},
    {"hold-ms", NUMBER, FIELD(hold_ms), 0, 60000, 3000},
    {"hold-max", NUMBER, FIELD(hold_max), 1, 1000000, 4096},
    {"redis-timeout-ms", NUMBER, FIELD(redis_timeout_ms), 10, 60000, 1000},
    {"redis-ping-ms", NUMBER, FIELD(redis_ping_ms), 10, 60000, 300},
    {"redis-dead-ms", NUMBER, FIELD(redis_dead_ms), 20, 120000, 600},
    {"client-timeout-ms", NUMBER, FIELD(client_timeout_ms), 10, 600000, 10000},
    {"connections-max", NUMBER, FIELD(connections_max), 0, 1000000, 0},
    {"body-max", NUMBER, FIELD(body_max), 1, 16777216, 65536},
    {"drain-ms", NUMBER, FIELD(drain_ms), 0, 600000, 5000},
};
#define KEYS (sizeof keys / sizeof keys[0])

const char *const config_durabilities[] = {[CONFIG_ASYNC] = "async", [CONFIG_REPLICATED] = "replicated", [CONFIG_FSYNCED] = "fsynced"};

struct parser {
  struct config *c;
  const char *file;
  char *error;
  unsigned line;
  unsigned seen[KEYS]; /* the line that set it */
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
static bool set_number(const struct parser *p, const struct key *k, const char *value) {
  size_t digits = strspn(value, "0123456789");
  unsigned long n = strtoul(value, NULL, 10);
  if (digits == 0 || value[digits] != '\0' || n < k->min || n > k->max) {
    return wrong(p, "%s must be a whole number from %u to %u", k->name, k->min, k->max);
  }
  *(unsigned *)(void *)((char *)p->c + k->offset) = (unsigned)n;
  return true;
}

static bool set_sentinels(const struct parser *p, char *value) {
  struct config *c = p->c;
  for (char *item = value, *next; item != NULL; item = next) {
    next = strchr(item, ',');
    if (next != NULL) *next++ = '\0';
    item = trim(item);
    if (c->sentinel_count == CONFIG_SENTINELS_MAX || !addr_parse(&c->sentinels[c->sentinel_count], item)) {
      return wrong(p, "sentinels must be 1 to %d of ip:port or [ipv6]:port, separated by commas; \"%.80s\" is not",
                   CONFIG_SENTINELS_MAX, item);
    }
    c->sentinel_count++;
  }
  return true;
}

static bool set_durability(const struct parser *p, const char *value) {
  for (size_t i = 0; i < CONFIG_DURABILITIES; i++) {
    if (strcmp(value, config_durabilities[i]) != 0) continue;
    p->c->durability = (enum config_durability)i;
    return true;
  }
  return wrong(p, "durability must be async, replicated or fsynced");
}

static bool set_value(const struct parser *p, const struct key *k, char *value) {
  struct addr ip;
  if (k->kind == NUMBER) return set_number(p, k, value);
  if (k->kind == SENTINELS) return set_sentinels(p, value);
  if (k->kind == DURABILITY) return set_durability(p, value);
  if (k->kind == IP) {
    if (!addr_set(&ip, value, "1")) return wrong(p, "%s must be a numeric IP address", k->name);
    value = ip.ip;
  }
  /* The message does not repeat a text: it may be a password. */
  if (strlen(value) >= CONFIG_TEXT_MAX) return wrong(p, "%s is longer than %d bytes", k->name, CONFIG_TEXT_MAX - 1);
  memcpy((char *)p->c + k->offset, value, strlen(value) + 1);
  return true;
}

static bool set(struct parser *p, const char *name, char *value) {
  for (size_t i = 0; i < KEYS; i++) {
    if (strcmp(keys[i].name, name) != 0) continue;
    if (p->seen[i] != 0) return wrong(p, "%s is already set in line %u", name, p->seen[i]);
    p->seen[i] = p->line;
    return set_value(p, &keys[i], value);
  }
  return wrong(p, "unknown key \"%.40s\"", name);
}

static bool parse_line(struct parser *p, char *line) {
  line = trim(line);
  if (*line == '\0' || *line == '#') return true;
  /* A line may be a password with its key forgotten: the message does not repeat it. */
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

bool config_parse(struct config *c, const char *text, size_t len, const char *name, char error[static CONFIG_ERROR_MAX]) {
  struct parser p = {.c = c, .file = name, .error = error};
  const char *end = text + len;
  *c = (struct config){.listen = "0.0.0.0", .master_name = "mymaster", .durability = CONFIG_REPLICATED};
  for (size_t i = 0; i < KEYS; i++) {
    if (keys[i].kind == NUMBER) *(unsigned *)(void *)((char *)c + keys[i].offset) = keys[i].initial;
  }
  while (text < end) {
    char line[LINE_MAX_BYTES];
    const char *newline = memchr(text, '\n', (size_t)(end - text));
    size_t n = (size_t)((newline != NULL ? newline : end) - text);
    p.line++;
    if (n >= sizeof line) return wrong(&p, "line is longer than %zu bytes", sizeof line - 1);
    for (size_t i = 0; i < n; i++) {
      if (((unsigned char)text[i] < 0x20 && text[i] != '\t') || text[i] == 0x7f) return wrong(&p, "control character in column %zu", i + 1);
    }
    memcpy(line, text, n);
    line[n] = '\0';
    if (!parse_line(&p, line)) return false;
    text += n + (newline != NULL ? 1 : 0);
  }
  return check(&p);
}

bool config_set(struct config *c, const char *key, char *value, const char *name, char error[static CONFIG_ERROR_MAX]) {
  struct parser p = {.c = c, .file = name, .error = error, .line = 1};
  return set(&p, key, value);
}

bool config_load(struct config *c, const char *path, char error[static CONFIG_ERROR_MAX]) {
  static char text[FILE_MAX];
  FILE *file = fopen(path, "re");
  size_t len = file != NULL ? fread(text, 1, sizeof text, file) : 0;
  bool read = file != NULL && ferror(file) == 0;
  if (!read) snprintf(error, CONFIG_ERROR_MAX, "%s: %s", path, strerror(errno));
  if (file != NULL) fclose(file);
  if (!read) return false;
  if (len < sizeof text) return config_parse(c, text, len, path, error);
  snprintf(error, CONFIG_ERROR_MAX, "%s: larger than %d bytes", path, FILE_MAX - 1);
  return false;
}
