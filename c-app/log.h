/* log: one line per change of state on standard error, for the journal. Never a secret, never a line per request. */
#ifndef LOG_H
#define LOG_H

void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
