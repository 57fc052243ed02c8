#include "fake_store.h"
#include "metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SESSIONS_MAX 16
#define HELD_MAX 16

struct session {
  char id[STORE_ID_MAX + 1];
  char etag[STORE_ETAG_LEN + 1];
  char *value;
  size_t len;
};

enum store_result fake_store_fails = STORE_OK;
bool fake_store_holds;
char fake_store_request_id[STORE_REQUEST_ID_MAX + 1];
unsigned fake_store_waited_ms;
static struct session sessions[SESSIONS_MAX];
static struct store_op *held[HELD_MAX];
static unsigned versions;

struct store {
  char nothing;
};

static struct session *find(const char *id, size_t len) {
  for (size_t i = 0; i < SESSIONS_MAX; i++) {
    if (strlen(sessions[i].id) == len && memcmp(sessions[i].id, id, len) == 0) return &sessions[i];
  }
  return NULL;
}

static bool holds(const char *condition, const struct session *s) {
  if (condition[0] == '\0') return true;
  if (condition[0] == '-') return s == NULL;
  return s != NULL && (condition[0] == '*' || strcmp(condition, s->etag) == 0);
}

static void run(struct store_op *op) {
  struct session *s = find(op->id, op->id_len);
  fake_store_waited_ms = op->waited_ms;
  if (op->kind != STORE_GET) {
    memcpy(fake_store_request_id, op->request_id, op->request_id_len);
    fake_store_request_id[op->request_id_len] = '\0';
    op->primary = fake_store_fails == STORE_OK ? FAKE_STORE_PRIMARY : NULL;
  }
  if (fake_store_fails != STORE_OK) {
    op->done(op, fake_store_fails, "it fails", 8, NULL);
  } else if (op->kind == STORE_GET) {
    op->done(op, s != NULL ? STORE_OK : STORE_ABSENT, s != NULL ? s->value : "", s != NULL ? s->len : 0, s != NULL ? s->etag : NULL);
  } else if (!holds(op->condition, s)) {
    op->done(op, STORE_MISMATCH, "", 0, NULL);
  } else if (op->kind == STORE_DELETE) {
    if (s != NULL) s->id[0] = '\0';
    op->done(op, s != NULL ? STORE_OK : STORE_ABSENT, "", 0, NULL);
  } else {
    if (s == NULL) s = find("", 0);
    if (s == NULL) abort();
    memcpy(s->id, op->id, op->id_len);
    s->id[op->id_len] = '\0';
    free(s->value);
    s->value = malloc(op->value_len + 1);
    if (s->value == NULL) abort();
    if (op->value_len > 0) memcpy(s->value, op->value, op->value_len);
    s->len = op->value_len;
    snprintf(s->etag, sizeof s->etag, "etag%012u", ++versions);
    op->done(op, STORE_OK, "", 0, s->etag);
  }
}

struct store *store_new(uv_loop_t *loop, const struct config *config, struct tls *tls) {
  (void)tls;
  (void)loop;
  (void)config;
  return calloc(1, sizeof(struct store));
}

void store_submit(struct store *s, struct store_op *op) {
  (void)s;
  for (size_t i = 0; fake_store_holds && i < HELD_MAX; i++) {
    if (held[i] != NULL) continue;
    held[i] = op;
    return;
  }
  run(op);
}

void fake_store_go(void) {
  for (size_t i = 0; i < HELD_MAX; i++) {
    struct store_op *op = held[i];
    held[i] = NULL;
    if (op != NULL) run(op);
  }
}

bool store_withdraw(struct store *s, struct store_op *op) {
  (void)s;
  for (size_t i = 0; i < HELD_MAX; i++) {
    if (held[i] != op) continue;
    held[i] = NULL;
    return true;
  }
  return false;
}

bool store_reload(struct store *s, struct tls *tls) { return s != NULL && tls == NULL; }
const char *store_unready(const struct store *s) { return s != NULL ? NULL : "no store"; }
void store_measure(const struct store *s) { metrics.sentinels = s != NULL; }
void store_stop(struct store *s) { fake_store_holds = s == NULL; }

void store_free(struct store *s) {
  for (size_t i = 0; i < SESSIONS_MAX; i++) {
    free(sessions[i].value);
    sessions[i] = (struct session){0};
  }
  free(s);
}
