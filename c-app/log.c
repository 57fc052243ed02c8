#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* systemd reads "<N>" at the start of a line as its priority. */
__attribute__((format(printf, 2, 0))) static void log_line(int priority, const char *format, va_list ap) {
  char line[512];
  vsnprintf(line, sizeof line, format, ap);
  if (getenv("JOURNAL_STREAM") != NULL) {
    fprintf(stderr, "<%d>%s\n", priority, line);
  } else {
    fprintf(stderr, "sessiond: %s\n", line);
  }
}

void log_info(const char *format, ...) {
  va_list ap;
  va_start(ap, format);
  log_line(6, format, ap);
  va_end(ap);
}

void log_error(const char *format, ...) {
  va_list ap;
  va_start(ap, format);
  log_line(3, format, ap);
  va_end(ap);
}
