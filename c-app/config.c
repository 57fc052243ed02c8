#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX 65536
#define LINE_MAX_BYTES 2048

enum kind { NUMBER, TEXT, SECRET, IP, SENTINELS, DURABILITY };

struct key {
  const char *name;
  enum kind kind;
  size_t offset;
  unsigned min, max; /* of a NUMBER */
};

#define FIELD(f) offsetof(struct config, f)

static const struct key keys[] = {
    {"listen", IP, FIELD(listen), 0, 0},
    {"port", NUMBER, FIELD(port), 0, 65535},
    {"sentinels", SENTINELS, FIELD(sentinels), 0, 0},
    {"master-name", TEXT, FIELD(master_name), 0, 0},
    {"sentinel-password", SECRET, FIELD(sentinel_password), 0, 0},
    {"redis-user", TEXT, FIELD(redis_user), 0, 0},
    {"redis-password", SECRET, FIELD(redis_password), 0, 0},
    {"session-ttl-s", NUMBER, FIELD(session_ttl_s), 1, 31536000},
    {"durability", DURABILITY, FIELD(durability), 0, 0},
    {"replicas-required", NUMBER, FIELD(replicas_required), 1, 16},
    {"wait-ms", NUMBER, FIELD(wait_ms), 1, 60000},
    {"hold-ms", NUMBER, FIELD(hold_ms), 0, 60000},
    {"hold-max", NUMBER, FIELD(hold_max), 1, 1000000},
    {"redis-timeout-ms", NUMBER, FIELD(redis_timeout_ms), 10, 60000},
    {"redis-ping-ms", NUMBER, FIELD(redis_ping_ms), 10, 60000},
    {"redis-dead-ms", NUMBER, FIELD(redis_dead_ms), 20, 120000},
    {"client-timeout-ms", NUMBER, FIELD(client_timeout_ms), 10, 600000},
    {"body-max", NUMBER, FIELD(body_max), 1, 16777216},
    {"drain-ms", NUMBER, FIELD(drain_ms), 0, 600000},
};
#define KEYS (sizeof keys / sizeof keys[0])

static const struct config defaults = {
    .listen = "0.0.0.0",
    .port = 8080,
    .master_name = "mymaster",
    .session_ttl_s = 3600,
    .durability = CONFIG_REPLICATED,
    .replicas_required = 1,
    .wait_ms = 1000,
    .hold_ms = 3000,
    .hold_max = 4096,
    .redis_timeout_ms = 1000,
    .redis_ping_ms = 300,
    .redis_dead_ms = 600,
    .client_timeout_ms = 10000,
    .body_max = 65536,
    .drain_ms = 5000,
};

static bool blank(char c) { return c == ' ' || c == '\t'; }

static char *trim(char *text) {
  while (blank(*text)) text++;
  size_t len = strlen(text);
  while (len > 0 && blank(text[len - 1])) text[--len] = '\0';
  return text;
}

/* Digits only: no sign, no blank, no unit. False also when the value leaves [min, max]. */
static bool set_number(unsigned *out, const char *value, unsigned min, unsigned max) {
  unsigned long n = 0;
  if (*value == '\0') return false;
  for (; *value != '\0'; value++) {
    if (*value < '0' || *value > '9') return false;
    n = n * 10 + (unsigned long)(*value - '0');
    if (n > max) return false;
  }
  if (n < min) return false;
  *out = (unsigned)n;
  return true;
}

/* Returns NULL when all is well, else the entry that is not an address ("" when there is none or too many). */
static const char *set_sentinels(struct config *c, char *value) {
  c->sentinel_count = 0;
  for (char *next = value; next != NULL;) {
    char *item = next;
    next = strchr(item, ',');
    if (next != NULL) *next++ = '\0';
    item = trim(item);
    if (c->sentinel_count == CONFIG_SENTINELS_MAX) return "";
    if (!addr_parse(&c->sentinels[c->sentinel_count], item)) return item;
    c->sentinel_count++;
  }
  return c->sentinel_count == 0 ? "" : NULL;
}

/* Sets one key. False: `error` holds the reason without file and line. */
static bool set_value(struct config *c, const struct key *k, char *value, char *error, size_t size) {
  char *at = (char *)c + k->offset;
  struct addr ip;
  const char *bad;
  switch (k->kind) {
    case NUMBER:
      if (set_number((unsigned *)(void *)at, value, k->min, k->max)) return true;
      snprintf(error, size, "%s must be a whole number from %u to %u", k->name, k->min, k->max);
      return false;
    case TEXT:
    case SECRET:
      if (strlen(value) >= CONFIG_TEXT_MAX) {
        snprintf(error, size, "%s is longer than %d bytes", k->name, CONFIG_TEXT_MAX - 1);
        return false;
      }
      memcpy(at, value, strlen(value) + 1);
      return true;
    case IP:
      if (addr_set(&ip, value, "1")) {
        memcpy(at, ip.ip, sizeof ip.ip);
        return true;
      }
      snprintf(error, size, "%s must be a numeric IP address", k->name);
      return false;
    case SENTINELS:
      bad = set_sentinels(c, value);
      if (bad == NULL) return true;
      snprintf(error, size, "%s must be 1 to %d of ip:port or [ipv6]:port, separated by commas; \"%.80s\" is not", k->name,
               CONFIG_SENTINELS_MAX, bad);
      return false;
    case DURABILITY:
      if (strcmp(value, "async") == 0) {
        c->durability = CONFIG_ASYNC;
      } else if (strcmp(value, "replicated") == 0) {
        c->durability = CONFIG_REPLICATED;
      } else {
        snprintf(error, size, "%s must be async or replicated", k->name);
        return false;
      }
      return true;
  }
  return false;
}

static bool parse_line(struct config *c, char *line, unsigned seen[static KEYS], unsigned number, char *error, size_t size) {
  line = trim(line);
  if (*line == '\0' || *line == '#') return true;
  /* A line may be a password with its key forgotten: the message does not repeat it. */
  char *equals = strchr(line, '=');
  if (equals == NULL) {
    snprintf(error, size, "expected `key = value`");
    return false;
  }
  *equals = '\0';
  char *name = trim(line), *value = trim(equals + 1);
  for (size_t i = 0; i < KEYS; i++) {
    if (strcmp(keys[i].name, name) != 0) continue;
    if (seen[i] != 0) {
      snprintf(error, size, "%s is already set in line %u", name, seen[i]);
      return false;
    }
    seen[i] = number;
    return set_value(c, &keys[i], value, error, size);
  }
  snprintf(error, size, "unknown key \"%.40s\"", name);
  return false;
}

bool config_parse(struct config *c, const char *text, size_t len, const char *name, char error[static CONFIG_ERROR_MAX]) {
  unsigned seen[KEYS] = {0}, number = 0;
  char line[LINE_MAX_BYTES], why[256];
  const char *end = text + len;
  *c = defaults;
  while (text < end) {
    const char *newline = memchr(text, '\n', (size_t)(end - text));
    size_t n = (size_t)((newline != NULL ? newline : end) - text);
    number++;
    if (n >= sizeof line) {
      snprintf(error, CONFIG_ERROR_MAX, "%s:%u: line is longer than %zu bytes", name, number, sizeof line - 1);
      return false;
    }
    for (size_t i = 0; i < n; i++) {
      if (((unsigned char)text[i] < 0x20 && text[i] != '\t') || text[i] == 0x7f) {
        snprintf(error, CONFIG_ERROR_MAX, "%s:%u: control character in column %zu", name, number, i + 1);
        return false;
      }
    }
    memcpy(line, text, n);
    line[n] = '\0';
    if (!parse_line(c, line, seen, number, why, sizeof why)) {
      snprintf(error, CONFIG_ERROR_MAX, "%s:%u: %s", name, number, why);
      return false;
    }
    text += n + (newline != NULL ? 1 : 0);
  }
  if (c->sentinel_count == 0) {
    snprintf(error, CONFIG_ERROR_MAX, "%s:%u: sentinels is not set: list them as sentinels = ip:port, ip:port", name, number);
  } else if (c->master_name[0] == '\0' || strpbrk(c->master_name, " \t") != NULL) {
    snprintf(error, CONFIG_ERROR_MAX, "%s:%u: master-name must be one word", name, number);
  } else if (c->redis_dead_ms <= c->redis_ping_ms) {
    snprintf(error, CONFIG_ERROR_MAX, "%s:%u: redis-dead-ms must be more than redis-ping-ms", name, number);
  } else {
    return true;
  }
  return false;
}

bool config_load(struct config *c, const char *path, char error[static CONFIG_ERROR_MAX]) {
  bool ok = false;
  char *text = NULL;
  FILE *file = fopen(path, "re");
  if (file == NULL) {
    snprintf(error, CONFIG_ERROR_MAX, "%s: %s", path, strerror(errno));
    return false;
  }
  text = malloc(FILE_MAX);
  if (text == NULL) {
    snprintf(error, CONFIG_ERROR_MAX, "%s: out of memory", path);
    goto cleanup;
  }
  size_t len = fread(text, 1, FILE_MAX, file);
  if (ferror(file)) {
    snprintf(error, CONFIG_ERROR_MAX, "%s: cannot be read", path);
  } else if (len == FILE_MAX) {
    snprintf(error, CONFIG_ERROR_MAX, "%s: larger than %d bytes", path, FILE_MAX - 1);
  } else {
    ok = config_parse(c, text, len, path, error);
  }
cleanup:
  free(text);
  fclose(file);
  return ok;
}
