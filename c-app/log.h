/* log: one line per change of state on standard error, for the journal. Never a secret, never a line per request. */
#ifndef LOG_H
#define LOG_H

/* As systemd reads them in "<N>" at the start of a line. */
enum log_priority { LOG_ERROR = 3, LOG_INFO = 6 };

void log_line(enum log_priority priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
