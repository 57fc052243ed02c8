#include "alloc.h"

#include <hiredis/alloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

void *__real_malloc(size_t size);
void *__interceptor_calloc(size_t count, size_t size); /* AddressSanitizer's */
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
FILE *__real_fopen(const char *path, const char *mode);

void *__wrap_malloc(size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);
FILE *__wrap_fopen(const char *path, const char *mode);

static bool armed, lasting, denied;
static unsigned count, failing;

static bool deny(void) {
  if (!armed) return false;
  count++;
  if (lasting ? count < failing : count != failing) return false;
  denied = true;
  return true;
}

void *__wrap_malloc(size_t size) { return deny() ? NULL : __real_malloc(size); }
/* mbedTLS takes no allocator from us, but what the program defines goes before the C library's. */
void *calloc(size_t n, size_t size) { return deny() ? NULL : __interceptor_calloc(n, size); }
void *__wrap_realloc(void *old, size_t size) { return deny() ? NULL : __real_realloc(old, size); }
char *__wrap_strdup(const char *text) { return deny() ? NULL : __real_strdup(text); }
FILE *__wrap_fopen(const char *path, const char *mode) { return deny() ? NULL : __real_fopen(path, mode); }

void alloc_init(void) {
  hiredisAllocFuncs ours = {.mallocFn = __wrap_malloc, .callocFn = calloc, .reallocFn = __wrap_realloc,
                            .strdupFn = __wrap_strdup, .freeFn = free};
  hiredisSetAllocators(&ours);
  if (uv_replace_allocator(__wrap_malloc, __wrap_realloc, calloc, free) != 0) abort();
}

static unsigned fail_each(void (*scenario)(void)) {
  for (failing = 1;; failing++) {
    count = 0;
    denied = false;
    armed = true;
    scenario();
    armed = false;
    if (!denied) return failing - 1;
  }
}

unsigned alloc_fail_each(void (*scenario)(void)) {
  lasting = false;
  unsigned most = fail_each(scenario);
  lasting = true;
  fail_each(scenario);
  return most;
}

void alloc_stop(void) { armed = false; }

bool alloc_denied(void) { return denied; }
