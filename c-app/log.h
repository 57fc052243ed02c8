/* log: one line per change of state on standard error, for the journal. Never a secret, never a line per request. */
#ifndef LOG_H
#define LOG_H

/* For the journal "<3>" or "<6>" at the start of a line, as sd-daemon(3) has them. */
enum log_priority { LOG_ERROR, LOG_INFO };

void log_line(enum log_priority priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
