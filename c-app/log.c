#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void log_line(enum log_priority priority, const char *format, ...) {
  char line[512];
  va_list ap;
  va_start(ap, format);
  vsnprintf(line, sizeof line, format, ap);
  va_end(ap);
  const char *prefix = getenv("JOURNAL_STREAM") == NULL ? "sessiond: " : priority == LOG_ERROR ? "<3>" : "<6>";
  fprintf(stderr, "%s%s\n", prefix, line);
}
