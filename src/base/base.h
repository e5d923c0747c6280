/* SPDX-License-Identifier: BSD-3-Clause */
/* The ground layer: errors, memory, text, numbers, generators, clocks, files. Sees libc only. */
#ifndef ASTER_BASE_H
#define ASTER_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define ASTER_CHECKED      __attribute__((warn_unused_result))
#define ASTER_PRINTF(f, a) __attribute__((format(printf, f, a)))
#if defined __CUDACC__ /* what kernels of a GPU share with the host */
#define ASTER_ANYWHERE __host__ __device__
#else
#define ASTER_ANYWHERE
#endif

/* ---- errors ---------------------------------------------------------------------------------
 * Functions return 0 or one of these. The first failure leaves a sentence in the context that
 * names file, item, what was found and what was expected; later ones do not overwrite it. */
enum aster_code {
    ASTER_OK = 0,
    ASTER_EBUG = -1, /* our mistake */
    ASTER_ENOMEM = -2,
    ASTER_EIO = -3,      /* the system refused: open, read, write, rename */
    ASTER_EFORMAT = -4,  /* a file's content is wrong */
    ASTER_EPARAM = -5,   /* a parameter or option of the user is wrong */
    ASTER_ENUMERIC = -6, /* not finite, not converged */
    ASTER_ELIMIT = -7,   /* beyond a limit: memory budget, length */
    ASTER_EDEVICE = -8,  /* no worker can do it */
    ASTER_EEXIST = -9,   /* something is in the way */
    ASTER_ESTOP = -10    /* the user asked to stop */
};

struct aster_ctx;
ASTER_CHECKED int aster_ctx_new(struct aster_ctx **out);
void aster_ctx_free(struct aster_ctx **ctx);

/* Records the first error (thread-safe) and returns code. */
int aster_fail_at(struct aster_ctx *ctx, const char *file, int line, int code, const char *fmt, ...)
    ASTER_PRINTF(5, 6);
#define aster_fail(ctx, code, ...) aster_fail_at((ctx), __FILE__, __LINE__, (code), __VA_ARGS__)
int aster_ctx_code(const struct aster_ctx *ctx);            /* 0 when nothing failed */
const char *aster_ctx_message(const struct aster_ctx *ctx); /* "" when nothing failed */
const char *aster_ctx_place(const struct aster_ctx *ctx);   /* "conv.c:41", for -v */
void aster_ctx_clear(struct aster_ctx *ctx);

#define ASTER_TRY(call)                                                                            \
    do {                                                                                           \
        int aster_try_ = (call);                                                                   \
        if (aster_try_ < 0)                                                                        \
            return aster_try_;                                                                     \
    } while (0)
#define ASTER_GOTO(call, label)                                                                    \
    do {                                                                                           \
        rc = (call);                                                                               \
        if (rc < 0)                                                                                \
            goto label;                                                                            \
    } while (0)

/* ---- log: stderr as "[aster] level: text", and the log file with a time stamp ---- */
enum aster_level { ASTER_LOG_ERROR, ASTER_LOG_WARN, ASTER_LOG_INFO, ASTER_LOG_DEBUG };
void aster_log_level(struct aster_ctx *ctx, enum aster_level most);
ASTER_CHECKED int aster_log_file(struct aster_ctx *ctx, const char *path); /* appends */
void aster_log(struct aster_ctx *ctx, enum aster_level level, const char *fmt, ...)
    ASTER_PRINTF(3, 4);
/* Called before and after a line goes to stderr, so that a dashboard can step aside. */
void aster_log_hook(struct aster_ctx *ctx, void (*around)(void *arg, bool before), void *arg);

/* ---- memory: zeroed, 64-byte aligned; n * size is checked ------------------------------------
 * out is the address of the pointer to set: aster_alloc(ctx, n, sizeof *p, &p). n may be 0. */
ASTER_CHECKED int aster_alloc(struct aster_ctx *ctx, int64_t n, size_t size, void *out);
/* Grows to at least n elements (at least doubling), *cap in elements; new part zeroed. */
ASTER_CHECKED int aster_grow(struct aster_ctx *ctx, int64_t n, size_t size, int64_t *cap,
                             void *inout);
void aster_free(void *address_of_pointer); /* accepts NULL inside, sets NULL */
ASTER_CHECKED int aster_strdup(struct aster_ctx *ctx, const char *s, char **out);
ASTER_CHECKED int aster_strndup(struct aster_ctx *ctx, const char *s, size_t n, char **out);
int64_t aster_live_allocations(void); /* not yet freed; 0 at a clean exit */

/* ---- growing text; a failed allocation is remembered and reported by aster_str_ok ---- */
struct aster_str {
    char *s; /* always a string once something was added, else NULL */
    size_t len, cap;
    bool failed;
};
void aster_str_add(struct aster_str *b, const char *text);
void aster_str_addn(struct aster_str *b, const char *bytes, size_t n);
void aster_str_add_i64(struct aster_str *b, int64_t v); /* as %lld, quicker */
void aster_str_printf(struct aster_str *b, const char *fmt, ...) ASTER_PRINTF(2, 3);
void aster_str_free(struct aster_str *b);
ASTER_CHECKED int aster_str_ok(struct aster_ctx *ctx, const struct aster_str *b);
const char *aster_str_get(const struct aster_str *b); /* never NULL */
/* So many bytes of s, at most most, that no character of UTF-8 is cut; s may be longer. In
 * messages:
 * "%.*s" and ASTER_CUT(100, s). */
int aster_cut(const char *s, int most);
#define ASTER_CUT(most, s) aster_cut((s), (most)), (s)
/* vsnprintf; what there is no room for is left out from a whole character on. */
void aster_format(char *text, size_t size, const char *fmt, va_list ap) ASTER_PRINTF(3, 0);
/* Nearest of n names to word by edit distance, NULL if none is within a third of its length (at
 * least 1). */
const char *aster_nearest(const char *word, const char *const *names, int n);

/* ---- numbers ---- */
ASTER_CHECKED int aster_mul(struct aster_ctx *ctx, int64_t a, int64_t b,
                            int64_t *out); /* >= 0 both */
ASTER_CHECKED int aster_add(struct aster_ctx *ctx, int64_t a, int64_t b, int64_t *out);
ASTER_CHECKED int aster_to_int(struct aster_ctx *ctx, int64_t n, int *out);
/* The whole of s (no blanks around, no trailing text); 0 or ASTER_EPARAM without touching a
 * context. */
ASTER_CHECKED int aster_parse_i64(const char *s, int64_t *out);
ASTER_CHECKED int aster_parse_f64(const char *s, double *out); /* finite decimal numbers only */
/* "1000", "512M", "1.5GiB": bytes, at least 1; K, M, G, T are powers of 1024. */
ASTER_CHECKED int aster_parse_size(const char *s, int64_t *out);
static inline int64_t aster_min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}
static inline int64_t aster_max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}
static inline int64_t aster_round_up(int64_t n, int64_t to)
{
    return (n + to - 1) / to * to;
}

enum aster_dtype {
    ASTER_F32,
    ASTER_F64,
    ASTER_BF16,
    ASTER_I32,
    ASTER_I64,
    ASTER_U8,
    ASTER_N_DTYPES
};
int64_t aster_dtype_size(enum aster_dtype t);
const char *aster_dtype_name(enum aster_dtype t); /* "f32" ... */
static inline float aster_bf16_to_f32(uint16_t h)
{
    union {
        uint32_t u;
        float f;
    } v = {.u = (uint32_t)h << 16};
    return v.f;
}
static inline float aster_f16_to_f32(uint16_t h) /* IEEE half */
{
    uint32_t exponent = h >> 10 & 31, fraction = h & 1023;
    union {
        float f;
        uint32_t u;
    } v = {.f = (float)fraction * 0x1p-24f}; /* no denormal float on the way: they may be flushed */
    if (exponent > 0)
        v.u = (exponent == 31 ? 255 : exponent + 112) << 23 | fraction << 13;
    v.u |= (uint32_t)(h & 0x8000) << 16;
    return v.f;
}
uint16_t aster_f32_to_bf16(float f); /* nearest even; NaN stays NaN */

/* ---- generators and hashes ---- */
uint64_t aster_fnv1a64(const void *bytes, size_t n);
uint64_t aster_fnv1a64_more(uint64_t h, const void *bytes, size_t n);
/* Of long texts: eight bytes at a time, several times as quick. */
uint64_t aster_hash64(const void *bytes, size_t n);
ASTER_ANYWHERE static inline uint64_t aster_mix64(uint64_t z) /* the finaliser of splitmix64 */
{
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
}
/* Philox 4x32-10: the same counter and key give the same four words on every machine. */
void aster_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);
/* Uniform in [0,1) with 53 bits from (seed, stream, index). */
double aster_uniform(uint64_t seed, uint64_t stream, uint64_t index);
/* Permutation of 0..n-1 by Philox (Fisher-Yates, unbiased), from (seed, stream). */
void aster_shuffle(uint64_t seed, uint64_t stream, int64_t n, int64_t *p);
/* Permutation by Mersenne twister 19937 with masked rejection: the reference's split. n <= 2^31. */
void aster_shuffle_mt19937(uint32_t seed, int64_t n, int64_t *p);

struct aster_sha256 {
    uint32_t h[8];
    uint64_t n;
    uint8_t buf[64];
};
void aster_sha256_init(struct aster_sha256 *s);
void aster_sha256_add(struct aster_sha256 *s, const void *bytes, size_t n);
void aster_sha256_done(struct aster_sha256 *s, uint8_t out[32]);
void aster_sha256_text(struct aster_sha256 *s, char out[65]); /* done, as hexadecimal */
void aster_sha256_hex(const void *bytes, size_t n, char out[65]);
uint32_t aster_crc32c(uint32_t crc, const void *bytes, size_t n); /* start with 0 */

/* ---- clocks ---- */
double aster_wall(void);        /* seconds, monotonic */
double aster_cpu_process(void); /* CPU seconds of the process */
double aster_cpu_thread(void);
double aster_unix_time(void);
void aster_iso_time(char out[32]); /* 2026-01-31T12:34:56Z */

/* ---- files ---- */
ASTER_CHECKED int aster_mkdirs(struct aster_ctx *ctx, const char *path);
/* The whole file, with a 0 byte after it. Refuses more than limit bytes. */
ASTER_CHECKED int aster_file_read(struct aster_ctx *ctx, const char *path, int64_t limit,
                                  char **out, int64_t *n);
/* Beside, flushed, renamed, folder flushed: exists whole or not at all. */
ASTER_CHECKED int aster_file_write(struct aster_ctx *ctx, const char *path, const void *bytes,
                                   int64_t n);
/* fsync(tmp), rename to path, fsync the folder. For writers (HDF5) that made tmp themselves. */
ASTER_CHECKED int aster_file_commit(struct aster_ctx *ctx, const char *tmp, const char *path);
/* Appends one line with a single write and flushes it to the disk. */
ASTER_CHECKED int aster_file_append(struct aster_ctx *ctx, const char *path, const char *line);
bool aster_file_exists(const char *path);
ASTER_CHECKED int aster_path_join(struct aster_ctx *ctx, const char *dir, const char *name,
                                  char **out);
/* "a/b.c.gz" -> view of "b.c.gz" */
const char *aster_path_base(const char *path);

#endif
