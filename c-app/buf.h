/* buf: a growable run of bytes.
 *
 * A zeroed struct is an empty buffer. Whoever holds the struct owns `data` and calls buf_free.
 * Every function that may allocate returns false when memory is short and leaves the buffer as it was. */
#ifndef BUF_H
#define BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

struct buf {
  char *data;
  size_t len;
  size_t cap;
};

/* Makes room for `more` bytes after `len`. */
bool buf_reserve(struct buf *b, size_t more);
bool buf_add(struct buf *b, const void *data, size_t len);
void buf_free(struct buf *b);

/* Writes `n` in decimal, at most 20 digits, without a NUL, and returns its end. snprintf would cost a twentieth of a request. */
char *buf_number(char *to, size_t n);
/* For uv_read_start: one area for all connections. The read callback uses or copies it before the next one is read. */
void buf_area(uv_handle_t *handle, size_t suggested, uv_buf_t *b);

/* Sends what is in `from`, which isn't empty. More than 0: all of it is with the kernel, and `from` is empty. 0: what is left is
 * libuv's until `done`, in `rest`, and what `rest` was, an empty buffer, is in `from`. Less: libuv's error code. */
int buf_write(uv_stream_t *to, struct buf *from, uv_write_t *write, struct buf *rest, uv_write_cb done);

#endif
