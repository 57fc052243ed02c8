#include "tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <mbedtls/error.h>
#include <mbedtls/psa_util.h>
#include <mbedtls/ssl.h>
#include <psa/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tls {
  unsigned users; /* who made it, and its links */
  mbedtls_ssl_config config;
  mbedtls_x509_crt ca, cert;
  mbedtls_pk_context key;
  char name[256]; /* "": the peer's address */
};

struct tls_link {
  struct tls *shared;
  mbedtls_ssl_context ssl;
  struct buf *out;
  const char *in; /* what tls_read was given, and how much of it is left */
  size_t in_len;
  unsigned char ip[16];
  size_t ip_len;
  char why[160]; /* "": it has not failed */
};

/* mbedTLS' own order has PSS before PKCS#1; a server with an RSA key that keeps to TLS 1.2 may then choose PSS, as the standard
 * lets it, and mbedTLS 3.6.6 breaks off. */
static const uint16_t signatures[] = {
    MBEDTLS_TLS1_3_SIG_ECDSA_SECP256R1_SHA256, MBEDTLS_TLS1_3_SIG_ECDSA_SECP384R1_SHA384, MBEDTLS_TLS1_3_SIG_ECDSA_SECP521R1_SHA512,
    MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA256,       MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA384,       MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA512,
    MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA256,    MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA384,    MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA512,
    MBEDTLS_TLS1_3_SIG_NONE};

struct tls *tls_new(const char *ca, const char *cert, const char *key, const char *name, char *error, size_t size) {
  const char *what = "TLS", *step = "";
  char reason[128];
  struct tls *t = calloc(1, sizeof *t);
  if (t == NULL) {
    snprintf(error, size, "%s: out of memory", what);
    return NULL;
  }
  t->users = 1;
  snprintf(t->name, sizeof t->name, "%s", name);
  mbedtls_ssl_config_init(&t->config);
  mbedtls_x509_crt_init(&t->ca);
  mbedtls_x509_crt_init(&t->cert);
  mbedtls_pk_init(&t->key);
  /* A client's defaults are TLS 1.2 and 1.3, no renegotiation, and no peer without a valid certificate. */
  int rc = mbedtls_ssl_config_defaults(&t->config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
  if (rc == 0) rc = (int)psa_crypto_init(); /* once in the process' life; TLS 1.3 needs it */
  mbedtls_ssl_conf_rng(&t->config, mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE);
  mbedtls_ssl_conf_sig_algs(&t->config, signatures);
  mbedtls_ssl_conf_ca_chain(&t->config, &t->ca, NULL);
  if (rc == 0) rc = mbedtls_x509_crt_parse_file(&t->ca, what = ca);
  if (rc == 0 && cert[0] != '\0') {
    rc = mbedtls_x509_crt_parse_file(&t->cert, what = cert);
    if (rc == 0) rc = mbedtls_pk_parse_keyfile(&t->key, what = key, NULL, mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE);
    if (rc == 0) rc = mbedtls_ssl_conf_own_cert(&t->config, &t->cert, &t->key);
    if (rc == 0) step = "does not fit the certificate: ";
    if (rc == 0) rc = mbedtls_pk_check_pair(&t->cert.pk, &t->key, mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE);
  }
  if (rc == 0) return t;
  if (rc > 0) rc = MBEDTLS_ERR_X509_INVALID_FORMAT; /* so many of the file's certificates are unreadable */
  mbedtls_strerror(rc, reason, sizeof reason);
  snprintf(error, size, "%s: %s%s", what, step, rc == MBEDTLS_ERR_PK_FILE_IO_ERROR ? strerror(errno) : reason);
  tls_free(t);
  return NULL;
}

void tls_free(struct tls *t) {
  if (t == NULL || --t->users > 0) return;
  mbedtls_ssl_config_free(&t->config);
  mbedtls_x509_crt_free(&t->ca);
  mbedtls_x509_crt_free(&t->cert);
  mbedtls_pk_free(&t->key);
  free(t);
}

static int put(void *link, const unsigned char *data, size_t len) {
  struct tls_link *l = link;
  return buf_add(l->out, data, len) ? (int)len : MBEDTLS_ERR_SSL_ALLOC_FAILED;
}

static int get(void *link, unsigned char *out, size_t size) {
  struct tls_link *l = link;
  size_t n = size < l->in_len ? size : l->in_len;
  if (n == 0) return MBEDTLS_ERR_SSL_WANT_READ;
  memcpy(out, l->in, n);
  l->in += n;
  l->in_len -= n;
  return (int)n;
}

/* mbedTLS' own check would take the address as a name too: in the subject, or as "*.0.0.1". */
static int check_ip(void *link, mbedtls_x509_crt *crt, int depth, uint32_t *flags) {
  const struct tls_link *l = link;
  if (depth > 0) return 0;
  for (const mbedtls_x509_sequence *s = &crt->subject_alt_names; s != NULL; s = s->next) {
    bool is_ip = (s->buf.tag & MBEDTLS_ASN1_TAG_VALUE_MASK) == MBEDTLS_X509_SAN_IP_ADDRESS;
    if (is_ip && s->buf.len == l->ip_len && memcmp(s->buf.p, l->ip, l->ip_len) == 0) return 0;
  }
  *flags |= MBEDTLS_X509_BADCERT_CN_MISMATCH;
  return 0;
}

struct tls_link *tls_open(struct tls *t, const char *ip, struct buf *out) {
  struct tls_link *l = calloc(1, sizeof *l);
  bool named = t->name[0] != '\0';
  if (l == NULL) return NULL;
  l->shared = t;
  l->out = out;
  t->users++;
  mbedtls_ssl_init(&l->ssl);
  l->ip_len = inet_pton(AF_INET, ip, l->ip) == 1 ? 4 : inet_pton(AF_INET6, ip, l->ip) == 1 ? 16 : 0;
  if (l->ip_len > 0 && mbedtls_ssl_setup(&l->ssl, &t->config) == 0 && mbedtls_ssl_set_hostname(&l->ssl, named ? t->name : NULL) == 0) {
    if (!named) mbedtls_ssl_set_verify(&l->ssl, check_ip, l);
    mbedtls_ssl_set_bio(&l->ssl, l, put, get, NULL);
    return l;
  }
  tls_close(l);
  return NULL;
}

void tls_close(struct tls_link *l) {
  if (l == NULL) return;
  mbedtls_ssl_free(&l->ssl);
  tls_free(l->shared);
  free(l);
}

/* NULL when all is well or mbedTLS waits for the peer, else the reason, which stays. */
static const char *outcome(struct tls_link *l, int rc) {
  char reason[128];
  if (l->why[0] != '\0') return l->why;
  if (rc > 0 || rc == MBEDTLS_ERR_SSL_WANT_READ) return NULL;
  uint32_t flags = rc == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED ? mbedtls_ssl_get_verify_result(&l->ssl) : 0;
  mbedtls_strerror(rc, reason, sizeof reason);
  if (flags != 0) mbedtls_x509_crt_verify_info(reason, sizeof reason, "", flags);
  reason[strcspn(reason, "\n")] = '\0'; /* the first of several */
  const char *own = rc == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY       ? "closed by the server"
                    : rc == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE   ? "refused by the server, perhaps for our certificate; its log knows"
                    : (flags & MBEDTLS_X509_BADCERT_CN_MISMATCH) ? "the certificate is for another name or address"
                                                                  : reason;
  snprintf(l->why, sizeof l->why, "TLS: %s", own);
  return l->why;
}

size_t tls_read(struct tls_link *l, const void *data, size_t len, char plain[static TLS_PLAIN_MAX]) {
  size_t have = 0;
  int rc = 1;
  l->in = data;
  l->in_len = len;
  while (rc > 0 || (rc == MBEDTLS_ERR_SSL_WANT_READ && l->in_len > 0)) { /* a message without data ends a call, too */
    rc = mbedtls_ssl_read(&l->ssl, (unsigned char *)plain + have, TLS_PLAIN_MAX - have);
    if (rc > 0) have += (size_t)rc;
  }
  outcome(l, rc);
  return have;
}

const char *tls_write(struct tls_link *l, struct buf *plain) {
  int rc = 1;
  for (size_t done = 0; rc > 0 && plain->len > 0 && l->why[0] == '\0';) {
    rc = mbedtls_ssl_write(&l->ssl, (const unsigned char *)plain->data + done, plain->len - done);
    if (rc > 0) done += (size_t)rc;
    if (done == plain->len) plain->len = 0;
  }
  return outcome(l, rc);
}
