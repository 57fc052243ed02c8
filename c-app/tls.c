#include "tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tls {
  SSL_CTX *ctx;
  char name[256]; /* "": the peer's address */
};

struct tls_link {
  SSL *ssl;
  BIO *in, *out; /* owned by ssl */
  char why[160];
};

/* The keys of a service have no password: OpenSSL's own callback would ask for it at the terminal. */
static int no_password(char *out, int size, int writing, void *user) {
  (void)out, (void)size, (void)writing, (void)user;
  return -1;
}

struct tls *tls_new(const char *ca, const char *cert, const char *key, const char *name, char *error, size_t size) {
  /* The system's openssl.cnf would take milliseconds to read, and could weaken what is set here. */
  OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
  ERR_clear_error();
  struct tls *t = calloc(1, sizeof *t);
  const char *what = "TLS";
  if (t == NULL || (t->ctx = SSL_CTX_new(TLS_client_method())) == NULL) goto failed;
  snprintf(t->name, sizeof t->name, "%s", name);
  SSL_CTX_set_verify(t->ctx, SSL_VERIFY_PEER, NULL);
  SSL_CTX_set_options(t->ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_session_cache_mode(t->ctx, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_default_passwd_cb(t->ctx, no_password);
  if (SSL_CTX_set_min_proto_version(t->ctx, TLS1_2_VERSION) != 1) goto failed;
  what = ca;
  if (SSL_CTX_load_verify_file(t->ctx, ca) != 1) goto failed;
  if (cert[0] == '\0') return t;
  what = cert;
  if (SSL_CTX_use_certificate_chain_file(t->ctx, cert) != 1) goto failed;
  what = key;
  if (SSL_CTX_use_PrivateKey_file(t->ctx, key, SSL_FILETYPE_PEM) != 1) goto failed; /* checks that it fits, too */
  return t;
failed:;
  unsigned long code = ERR_peek_error();
  const char *reason = ERR_SYSTEM_ERROR(code) ? strerror(ERR_GET_REASON(code)) : ERR_reason_error_string(code);
  snprintf(error, size, "%s: %s", what, reason != NULL ? reason : "cannot be used");
  ERR_clear_error();
  tls_free(t);
  return NULL;
}

void tls_free(struct tls *t) {
  if (t == NULL) return;
  SSL_CTX_free(t->ctx);
  free(t);
}

struct tls_link *tls_open(struct tls *t, const char *ip) {
  struct tls_link *l = calloc(1, sizeof *l);
  if (l == NULL) return NULL;
  BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
  l->ssl = in != NULL && out != NULL ? SSL_new(t->ctx) : NULL;
  if (l->ssl == NULL) {
    BIO_free(in);
    BIO_free(out);
    free(l);
    return NULL;
  }
  l->in = in;
  l->out = out;
  SSL_set_bio(l->ssl, in, out);
  SSL_set_connect_state(l->ssl);
  bool named = t->name[0] != '\0' ? SSL_set1_host(l->ssl, t->name) == 1 && SSL_set_tlsext_host_name(l->ssl, t->name) == 1
                                  : X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(l->ssl), ip) == 1;
  if (named) return l;
  tls_close(l);
  return NULL;
}

void tls_close(struct tls_link *l) {
  if (l == NULL) return;
  SSL_free(l->ssl);
  free(l);
}

bool tls_feed(struct tls_link *l, const void *data, size_t len) { return BIO_write(l->in, data, (int)len) == (int)len; }

/* The result of an SSL call as this module's: `rc` when above 0, 0 when it waits for the peer, else -1 and the reason. */
static int outcome(struct tls_link *l, int rc) {
  if (rc > 0) return rc;
  int kind = SSL_get_error(l->ssl, rc);
  if (kind == SSL_ERROR_WANT_READ) return 0;
  long verified = SSL_get_verify_result(l->ssl);
  const char *reason = kind == SSL_ERROR_ZERO_RETURN ? "closed by the server"
                       : verified != X509_V_OK       ? X509_verify_cert_error_string(verified)
                                                     : ERR_reason_error_string(ERR_peek_error());
  snprintf(l->why, sizeof l->why, "TLS: %s", reason != NULL ? reason : "failed");
  return -1;
}

int tls_shake(struct tls_link *l) {
  ERR_clear_error();
  return outcome(l, SSL_do_handshake(l->ssl));
}

int tls_read(struct tls_link *l, char *out, size_t size) {
  ERR_clear_error();
  return outcome(l, SSL_read(l->ssl, out, (int)size));
}

bool tls_write(struct tls_link *l, const void *data, size_t len) {
  ERR_clear_error();
  return len == 0 || outcome(l, SSL_write(l->ssl, data, (int)len)) == (int)len;
}

bool tls_take(struct tls_link *l, struct buf *out) {
  char *data;
  long len = BIO_get_mem_data(l->out, &data);
  if (len <= 0) return true;
  if (!buf_add(out, data, (size_t)len)) return false;
  return BIO_reset(l->out) == 1;
}

const char *tls_error(const struct tls_link *l) { return l->why; }
