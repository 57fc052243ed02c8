/* buf: a growable run of bytes.
 *
 * A zeroed struct is an empty buffer. Whoever holds the struct owns `data` and calls buf_free.
 * Every function that may allocate returns false when memory is short and leaves the buffer as it was. */
#ifndef BUF_H
#define BUF_H

#include <stdbool.h>
#include <stddef.h>

struct buf {
  char *data;
  size_t len;
  size_t cap;
};

/* Makes room for `more` bytes after `len`. */
bool buf_reserve(struct buf *b, size_t more);
bool buf_add(struct buf *b, const void *data, size_t len);
void buf_free(struct buf *b);

#endif
