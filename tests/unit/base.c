/* SPDX-License-Identifier: BSD-3-Clause */
/* The ground layer: published vectors of hashes and generators, laws of numbers and texts, files
 * that are whole or absent. */
#include "unit/files.h"

#include <float.h>
#include <math.h>
#include <pthread.h>

static void test_sha256(void)
{
    /* FIPS 180-2, appendix B, and the empty message */
    static const struct {
        const char *text, *hex;
    } cases[] = {{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
                 {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
                 {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"}};
    char hex[65], *million = NULL;
    for (size_t k = 0; k < 3; k++) {
        aster_sha256_hex(cases[k].text, strlen(cases[k].text), hex);
        tap_ok(!strcmp(hex, cases[k].hex), "SHA-256 of %zu bytes", strlen(cases[k].text));
    }
    if (!fine(aster_alloc(ctx, 1000000, 1, &million)))
        return;
    memset(million, 'a', 1000000);
    aster_sha256_hex(million, 1000000, hex);
    tap_ok(!strcmp(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
           "SHA-256 of a million a");
    struct aster_sha256 s;
    uint8_t digest[32];
    aster_sha256_init(&s);
    for (int64_t at = 0, n = 1; at < 1000000; at += n, n = n % 131 + 1)
        aster_sha256_add(&s, million + at, (size_t)aster_min64(n, 1000000 - at));
    aster_sha256_done(&s, digest);
    tap_ok(digest[0] == 0xcd && digest[1] == 0xc7 && digest[31] == 0xd0,
           "the same in pieces of 1 to 131 bytes");
    aster_free(&million);
}

static void test_crc_and_fnv(void)
{
    /* RFC 3720, B.4, and the usual check value */
    uint8_t zeros[32] = {0}, ones[32], up[32], down[32];
    for (int k = 0; k < 32; k++) {
        ones[k] = 0xff;
        up[k] = (uint8_t)k;
        down[k] = (uint8_t)(31 - k);
    }
    tap_ok(aster_crc32c(0, zeros, 32) == 0x8a9136aaU && aster_crc32c(0, ones, 32) == 0x62a8ab43U,
           "CRC-32C of zeros and ones");
    tap_ok(aster_crc32c(0, up, 32) == 0x46dd794eU && aster_crc32c(0, down, 32) == 0x113fdb5cU,
           "CRC-32C of bytes up and down");
    tap_ok(aster_crc32c(0, "123456789", 9) == 0xe3069283U, "CRC-32C of 123456789");
    tap_ok(aster_crc32c(aster_crc32c(0, up, 13), up + 13, 19) == 0x46dd794eU,
           "CRC-32C in two pieces");
    /* the authors' test vectors */
    tap_ok(aster_fnv1a64("", 0) == 0xcbf29ce484222325ULL &&
               aster_fnv1a64("a", 1) == 0xaf63dc4c8601ec8cULL &&
               aster_fnv1a64("foobar", 6) == 0x85944171f73967e8ULL,
           "FNV-1a");
    static char text[100];
    uint64_t seen[900];
    int n = 0;
    bool apart = true;
    for (size_t k = 0; k < sizeof text; k++) /* one letter changed, or one less */
        text[k] = "ACGT"[k * 7 % 4];
    for (size_t k = 0; k < 400; k++) {
        text[k / 4] ^= (char)(1 << k % 4);
        seen[n++] = aster_hash64(text, sizeof text);
        text[k / 4] ^= (char)(1 << k % 4);
        seen[n++] = aster_hash64(text, k / 4);
        n -= k % 4 != 0;
    }
    for (int k = 0; k < n; k++)
        for (int j = 0; j < k; j++)
            apart = apart && seen[k] != seen[j];
    tap_ok(apart && n == 500 && aster_hash64(text, 99) == aster_hash64(text, 99),
           "hashes of 500 texts that are nearly the same are apart");
    tap_ok(aster_fnv1a64_more(aster_fnv1a64("foo", 3), "bar", 3) == 0x85944171f73967e8ULL,
           "FNV-1a in two pieces");
}

static void test_philox(void)
{
    /* known answers published with Random123: counter, key, result */
    static const uint32_t cases[3][10] = {
        {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
        {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x408f276d,
         0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
        {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09,
         0x94fdcceb, 0x5001e420, 0x24126ea1}};
    for (int k = 0; k < 3; k++) {
        uint32_t r[4];
        aster_philox(cases[k], cases[k] + 4, r);
        tap_ok(!memcmp(r, cases[k] + 6, sizeof r), "Philox 4x32-10, known answer %d", k + 1);
    }
    /* splitmix64 from state 0 */
    uint64_t g = 0x9E3779B97F4A7C15ULL;
    tap_ok(aster_mix64(g) == 0xe220a8397b1dcdafULL && aster_mix64(2 * g) == 0x6e789e6aa1b965f4ULL &&
               aster_mix64(3 * g) == 0x06c45d188009454fULL,
           "mix64 is splitmix64's");
    double sum = 0, squares = 0;
    bool inside = true;
    for (uint64_t k = 0; k < 100000; k++) {
        double u = aster_uniform(1, 2, k);
        inside &= u >= 0 && u < 1;
        sum += u;
        squares += u * u;
    }
    tap_ok(inside && fabs(sum / 1e5 - 0.5) < 0.005 && fabs(squares / 1e5 - 1 / 3.0) < 0.005,
           "uniform numbers: range, mean, mean square");
    tap_ok(aster_uniform(1, 2, 3) != aster_uniform(1, 3, 2) &&
               aster_uniform(1, 2, 3) != aster_uniform(2, 1, 3),
           "streams and seeds differ");
}

static bool is_permutation(const int64_t *p, int64_t n)
{
    bool seen[4096] = {0};
    for (int64_t k = 0; k < n; k++) {
        if (p[k] < 0 || p[k] >= n || seen[p[k]])
            return false;
        seen[p[k]] = true;
    }
    return true;
}

static void test_shuffles(void)
{
    static const int64_t first[10] = {1575, 1949, 3241, 3143, 1861, 2791, 869, 1886, 298, 2498};
    int64_t p[3431], q[3431], places[3] = {0};
    aster_shuffle_mt19937(42, 3431, p);
    tap_ok(!memcmp(p, first, sizeof first) && is_permutation(p, 3431),
           "the reference's split begins as published");
    p[0] = 7;
    aster_shuffle_mt19937(42, 0, p);
    tap_ok(p[0] == 7, "a permutation of nothing touches nothing");
    aster_shuffle(5, 1, 3431, p);
    aster_shuffle(5, 2, 3431, q);
    tap_ok(is_permutation(p, 3431) && is_permutation(q, 3431) && memcmp(p, q, sizeof p),
           "permutations by Philox, one per stream");
    for (uint64_t k = 0; k < 30000; k++) {
        aster_shuffle(9, k, 3, p);
        places[p[0]]++;
    }
    tap_ok(llabs(places[0] - 10000) < 500 && llabs(places[1] - 10000) < 500,
           "every element comes first equally often");
    const char *path = shared("rcl/derived/split_seed42.csv");
    FILE *f = path ? fopen(path, "r") : NULL;
    if (!f) {
        tap_skip("the whole split: no shared test data");
        return;
    }
    char line[256], part[16];
    long index, position, n = 0, wrong = 0;
    aster_shuffle_mt19937(42, 3431, p);
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "%ld,%15[a-z],%ld,", &index, part, &position) == 3) {
            n++;
            int64_t at = position + (strcmp(part, "val") ? 687 : 0);
            wrong += at < 0 || at >= 3431 || p[at] != index;
        }
    fclose(f);
    tap_ok(n == 3431 && wrong == 0, "the whole split: %ld proteins, %ld elsewhere", n, wrong);
}

static void test_numbers(void)
{
    int64_t v = 0;
    int i = 0;
    double d = 0;
    tap_ok(aster_mul(NULL, 3037000500LL, 3037000499LL, &v) == 0 && v == 3037000500LL * 3037000499LL,
           "a product that fits");
    failed_with("a product that does not", aster_mul(ctx, 1LL << 32, 1LL << 31, &v), ASTER_ELIMIT,
                "4294967296", "2147483648", NULL);
    failed_with("a negative size", aster_mul(ctx, -1, 3, &v), ASTER_ELIMIT, "-1", NULL);
    tap_ok(aster_mul(ctx, 0, INT64_MAX, &v) == 0 && v == 0, "nothing times much");
    failed_with("a sum that does not fit", aster_add(ctx, INT64_MAX, 1, &v), ASTER_ELIMIT, "size",
                NULL);
    tap_ok(aster_to_int(ctx, INT_MAX, &i) == 0 && i == INT_MAX, "the largest int");
    failed_with("one above it", aster_to_int(ctx, (int64_t)INT_MAX + 1, &i), ASTER_ELIMIT,
                "2147483648", NULL);
    static const char *const whole[] = {"0", "-9223372036854775808", "9223372036854775807", "+7",
                                        "007"};
    bool good = true;
    for (int k = 0; k < 5; k++)
        good &= aster_parse_i64(whole[k], &v) == 0;
    tap_ok(good && v == 7, "integers");
    static const char *const not_whole[] = {"",  " 1",  "1 ",  "1x", "0x10", "9223372036854775808",
                                            "-", "+-1", "1.0", "1e3"};
    for (int k = 0; k < 10; k++)
        good &= aster_parse_i64(not_whole[k], &v) == ASTER_EPARAM;
    tap_ok(good && v == 7 && aster_ctx_code(ctx) == 0,
           "texts that are no integers are refused, nothing is touched");
    int64_t size = 0;
    tap_ok(aster_parse_size("1000", &size) == 0 && size == 1000 &&
               aster_parse_size("1.5K", &size) == 0 && size == 1536 &&
               aster_parse_size("2TiB", &size) == 0 && size == (int64_t)2 << 40,
           "sizes");
    tap_ok(aster_parse_size("0", &size) == ASTER_EPARAM &&
               aster_parse_size("G", &size) == ASTER_EPARAM &&
               aster_parse_size("1GB", &size) == ASTER_EPARAM &&
               aster_parse_size("-1", &size) == ASTER_EPARAM &&
               aster_parse_size("", &size) == ASTER_EPARAM &&
               aster_parse_size("1e99", &size) == ASTER_EPARAM,
           "what is no size");
    tap_ok(aster_parse_f64("-1.5e-3", &d) == 0 && d == -1.5e-3 && aster_parse_f64(".5", &d) == 0 &&
               d == 0.5 && aster_parse_f64("1e-400", &d) == 0 && d == 0,
           "numbers");
    static const char *const not_real[] = {"",    "nan", "inf", "1e999", "0x1p3", " 1",
                                           "1,5", "1e",  "--1", ".",     "1 2"};
    for (int k = 0; k < 11; k++)
        if (aster_parse_f64(not_real[k], &d) != ASTER_EPARAM) {
            good = false;
            tap_note("'%s' was taken for a number", not_real[k]);
        }
    tap_ok(good, "texts that are no finite numbers are refused");
    tap_ok(aster_round_up(0, 8) == 0 && aster_round_up(1, 8) == 8 && aster_round_up(16, 8) == 16,
           "rounding up");
}

/* Round to nearest even, found by comparing the two neighbours in double precision. */
/* 1 sign, 5 exponent, 10 fraction bits; 2^-24 is the smallest step. Denormal floats flushed or not.
 */
static void test_f16(void)
{
    bool good = true;
    for (int h = 0; h < 65536; h++) {
        int exponent = h >> 10 & 31, fraction = h & 1023;
        double want = exponent == 31  ? fraction ? (double)NAN : (double)INFINITY
                      : exponent == 0 ? ldexp(fraction, -24)
                                      : ldexp(1024 + fraction, exponent - 25);
        double got = (double)aster_f16_to_f32((uint16_t)h);
        good &= isnan(want) ? isnan(got)
                            : got == (h < 32768 ? want : -want) && !!signbit(got) == (h > 32767);
    }
    tap_ok(good, "every half as a float");
}

static void test_bf16(void)
{
    bool good = true;
    for (uint64_t k = 0; k < 200000; k++) {
        uint32_t c[4] = {(uint32_t)k, 0, 0, 0}, key[2] = {3, 4}, r[4];
        float f;
        aster_philox(c, key, r);
        memcpy(&f, r, sizeof f);
        uint16_t h = aster_f32_to_bf16(f);
        if (isnan(f)) {
            good &= isnan(aster_bf16_to_f32(h));
        } else if (fabsf(f) < 1e38f) {
            uint16_t low = (uint16_t)(r[0] >> 16);
            double a = (double)aster_bf16_to_f32(low),
                   b = (double)aster_bf16_to_f32((uint16_t)(low + 1)), x = (double)f;
            double to_a = fabs(x - a), to_b = fabs(x - b);
            uint16_t want = to_a < to_b || (to_a == to_b && !(low & 1)) ? low : (uint16_t)(low + 1);
            good &= h == want;
        }
    }
    tap_ok(good, "200000 floats to the nearest bf16");
    tap_ok(aster_f32_to_bf16(1.00390625f) == 0x3f80 && aster_f32_to_bf16(1.01171875f) == 0x3f82,
           "ties go to even");
    tap_ok(aster_bf16_to_f32(aster_f32_to_bf16(-INFINITY)) == -INFINITY &&
               isinf(aster_bf16_to_f32(aster_f32_to_bf16(FLT_MAX))),
           "infinity stays, the largest float rounds to it");
    tap_ok(aster_dtype_size(ASTER_BF16) == 2 && aster_dtype_size(ASTER_I64) == 8 &&
               !strcmp(aster_dtype_name(ASTER_U8), "u8"),
           "dtypes");
}

static void test_memory(void)
{
    int64_t live = aster_live_allocations(), cap = 0;
    double *d = NULL;
    int32_t *list = NULL;
    char *s = NULL;
    bool zero = true;
    tap_ok(fine(aster_alloc(ctx, 1000, sizeof *d, &d)) && (uintptr_t)d % 64 == 0 &&
               aster_live_allocations() == live + 1,
           "aligned, counted");
    for (int k = 0; d && k < 1000; k++)
        zero &= d[k] == 0;
    tap_ok(zero, "zeroed");
    aster_free(&d);
    tap_ok(!d && aster_live_allocations() == live, "freed, cleared, not counted any more");
    aster_free(&d);
    tap_ok(fine(aster_alloc(ctx, 0, 8, &d)) && d, "no elements are something to free");
    aster_free(&d);
    failed_with("an overflowing request", aster_alloc(ctx, INT64_MAX / 4, 8, &d), ASTER_ENOMEM,
                "8 bytes", NULL);
    failed_with("a negative request", aster_alloc(ctx, -1, 8, &d), ASTER_ENOMEM, "-1", NULL);
    tap_ok(!d, "a failed request leaves NULL");
    for (int k = 0; k < 1000; k++)
        if (fine(aster_grow(ctx, k + 1, sizeof *list, &cap, &list)))
            list[k] = k;
    tap_ok(cap >= 1000 && list[0] == 0 && list[999] == 999, "grown element by element");
    aster_free(&list);
    tap_ok(fine(aster_strndup(ctx, "abcdef", 3, &s)) && !strcmp(s, "abc"), "part of a text");
    aster_free(&s);
}

static void test_text(void)
{
    struct aster_str s = {0};
    static const char *const names[] = {"epochs", "batch_size", "lr"};
    tap_ok(!strcmp(aster_str_get(&s), ""), "nothing is the empty text");
    for (int k = 0; k < 1000; k++)
        aster_str_printf(&s, "%d,", k);
    tap_ok(fine(aster_str_ok(ctx, &s)) && s.len == 3890 && !strncmp(s.s, "0,1,2,", 6) &&
               !strcmp(s.s + s.len - 4, "999,"),
           "grown by pieces");
    aster_str_addn(&s, "x\0y", 3);
    tap_ok(s.len == 3893 && s.s[3891] == '\0' && s.s[3893] == '\0', "bytes with a NUL");
    static const int64_t whole[] = {0, 1, -1, 9, 10, -10, 123456789, INT64_MAX, INT64_MIN};
    bool good = true;
    for (size_t k = 0; k < sizeof whole / sizeof *whole; k++) {
        char text[32];
        snprintf(text, sizeof text, "%lld", (long long)whole[k]);
        s.len = 0;
        aster_str_add_i64(&s, whole[k]);
        good = good && !strcmp(aster_str_get(&s), text);
    }
    tap_ok(good, "integers as printf writes them");
    aster_str_free(&s);
    for (int k = 0; k < 300; k++) { /* every amount of room that may be left */
        struct aster_str one = {0};
        char text[400];
        for (int j = 0; j < k; j++)
            aster_str_addn(&one, "x", 1);
        aster_str_printf(&one, "%d %s", k, "abcdefghijklmnopqrstuvwxyz");
        snprintf(text, sizeof text, "%d abcdefghijklmnopqrstuvwxyz", k);
        good = good && one.len == (size_t)k + strlen(text) && !strcmp(one.s + k, text);
        aster_str_free(&one);
    }
    tap_ok(good, "printed into what room there is");
    tap_ok(!strcmp(aster_nearest("epoch", names, 3), "epochs") &&
               !strcmp(aster_nearest("batchsize", names, 3), "batch_size"),
           "nearest name");
    tap_ok(!aster_nearest("weight", names, 3) && !aster_nearest("x", names, 0), "no name is near");
}

static void test_cut(void)
{
    static const char text[] =
        "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z"; /* of 1, 2, 3, 4, 1 bytes */
    static const int whole[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11};
    char room[200], small[8] = "\xe2\x82";
    bool good = true;
    for (int most = 0; most <= 12; most++) {
        good = good && aster_cut(text, most) == whole[most];
        snprintf(room, sizeof room, "<%.*s>", ASTER_CUT(most, text));
        good = good && (int)strlen(room) == whole[most] + 2;
    }
    tap_ok(good, "texts are cut between characters");
    tap_ok(aster_cut("\xe9t\xe9", 9) == 3 && aster_cut("\xbf\xbf\xbf\xbf\xbf\xbf", 5) == 5 &&
               aster_cut(small, 2) == 0 && aster_cut(small, 3) == 2 && aster_cut("", 3) == 0,
           "what is no UTF-8 too");
    for (int k = 0; k < 3; k++) {
        struct aster_str s = {0};
        for (int j = 0; j < 1500; j++)
            aster_str_add(&s, j < k ? "x" : "\xe2\x82\xac");
        aster_fail(ctx, ASTER_EIO, "%s", s.s);
        size_t n = strlen(aster_ctx_message(ctx));
        good = good && n > 200 && n < s.len && (n - (size_t)k) % 3 == 0;
        aster_ctx_clear(ctx);
        aster_str_free(&s);
    }
    tap_ok(good, "a message that is too long ends with a character");
}

static void *fail_often(void *arg)
{
    for (int k = 0; k < 1000; k++)
        aster_fail(ctx, ASTER_EIO, "thread %d", *(int *)arg);
    return NULL;
}

static void test_errors(void)
{
    pthread_t t[4];
    int number[4] = {0, 1, 2, 3};
    tap_ok(aster_fail(NULL, ASTER_EIO, "nobody listens") == ASTER_EIO && aster_ctx_code(NULL) == 0,
           "no context is no trouble");
    int rc = aster_fail(ctx, ASTER_EFORMAT, "first %d", 1);
    tap_ok(rc == ASTER_EFORMAT && aster_fail(ctx, ASTER_EIO, "second") == ASTER_EIO,
           "each failure returns its own code");
    tap_ok(!strncmp(aster_ctx_place(ctx), "base.c:", 7), "the place is kept");
    failed_with("the first failure's sentence is kept", rc, ASTER_EFORMAT, "first 1", NULL);
    tap_ok(aster_ctx_code(ctx) == 0 && !*aster_ctx_message(ctx), "cleared");
    for (int k = 0; k < 4; k++)
        if (pthread_create(&t[k], NULL, fail_often, &number[k]))
            return;
    for (int k = 0; k < 4; k++)
        pthread_join(t[k], NULL);
    failed_with("one whole sentence from four threads", aster_ctx_code(ctx), ASTER_EIO, "thread ",
                NULL);
}

static void hook(void *arg, bool before)
{
    *(int *)arg = *(int *)arg * 10 + (before ? 1 : 2);
}

static void test_log(void)
{
    char *text = NULL, *kept = NULL;
    int64_t n;
    int calls = 0, saved = dup(2);
    const char *errors = in_dir("stderr"), *file = in_dir("log");
    if (saved < 0 || !freopen(errors, "w", stderr))
        return;
    aster_log(ctx, ASTER_LOG_INFO, "shown %d", 1);
    aster_log(ctx, ASTER_LOG_DEBUG, "hidden");
    bool opened = aster_log_file(ctx, file) == 0;
    aster_log_level(ctx, ASTER_LOG_ERROR);
    aster_log_hook(ctx, hook, &calls);
    aster_log(ctx, ASTER_LOG_WARN, "for the file");
    aster_log(ctx, ASTER_LOG_ERROR, "for both");
    fflush(stderr);
    dup2(saved, 2);
    close(saved);
    tap_ok(opened && fine(aster_file_read(ctx, errors, 10000, &text, &n)) &&
               !strcmp(text, "[aster] info: shown 1\n[aster] error: for both\n"),
           "lines on standard error");
    tap_ok(calls == 12, "the hook is called before and after a line on standard error only");
    bool read = fine(aster_file_read(ctx, file, 10000, &kept, &n));
    tap_ok(read && strlen(kept) > 22 && kept[10] == 'T' && kept[19] == 'Z' &&
               !strncmp(kept + 20, " warning: for the file\n", 23),
           "the log file has time and level");
    aster_free(&text);
    aster_free(&kept);
    aster_log_level(ctx, ASTER_LOG_INFO);
    failed_with("a log file that cannot be", aster_log_file(ctx, in_dir("no/such")), ASTER_EIO,
                "no/such", NULL);
}

static void test_files(void)
{
    char *text = NULL, *path = NULL;
    int64_t n = 0;
    const char *file = in_dir("a/b//c/file");
    failed_with("no folder", aster_file_write(ctx, file, "x", 1), ASTER_EIO, "a/b", NULL);
    tap_ok(fine(aster_mkdirs(ctx, in_dir("a/b//c/"))) && fine(aster_mkdirs(ctx, in_dir("a/b"))),
           "folders are made, existing ones are fine");
    tap_ok(fine(aster_file_write(ctx, file, "one\0two", 7)) &&
               fine(aster_file_read(ctx, file, 7, &text, &n)) && n == 7 &&
               !memcmp(text, "one\0two", 8),
           "written, read, 0 behind it");
    aster_free(&text);
    tap_ok(!aster_file_exists(in_dir("a/b/c/file.tmp")), "no temporary file stays");
    failed_with("more than the limit", aster_file_read(ctx, file, 6, &text, &n), ASTER_ELIMIT,
                "file", "6 bytes", NULL);
    failed_with("a file in the way of a folder", aster_mkdirs(ctx, in_dir("a/b/c/file/d")),
                ASTER_EIO, "a/b/c/file", NULL);
    failed_with("a folder in the way of a file", aster_file_write(ctx, in_dir("a/b"), "x", 1),
                ASTER_EIO, "a/b", NULL);
    tap_ok(!aster_file_exists(in_dir("a/b.tmp")), "a failed write leaves no temporary file");
    failed_with("a missing file", aster_file_read(ctx, in_dir("none"), 10, &text, &n), ASTER_EIO,
                "none", "No such file", NULL);
    failed_with("a folder is no file", aster_file_read(ctx, in_dir("a"), 10, &text, &n), ASTER_EIO,
                "/a:", NULL);
    tap_ok(!text, "a failed read leaves NULL");
    tap_ok(fine(aster_file_append(ctx, in_dir("lines"), "x")) &&
               fine(aster_file_append(ctx, in_dir("lines"), "y")) &&
               fine(aster_file_read(ctx, in_dir("lines"), 10, &text, &n)) &&
               !strcmp(text, "x\ny\n"),
           "lines appended");
    aster_free(&text);
    tap_ok(fine(aster_path_join(ctx, "a/", "b", &path)) && !strcmp(path, "a/b"), "paths joined");
    aster_free(&path);
    tap_ok(!strcmp(aster_path_base("/x/y"), "y") && !strcmp(aster_path_base("y"), "y"),
           "the last part of a path");
}

static void test_clocks(void)
{
    char iso[32];
    double a = aster_wall(), cpu = aster_cpu_thread(), b = a;
    while (b - a < 0.01)
        b = aster_wall();
    tap_ok(b > a && aster_cpu_thread() >= cpu && aster_cpu_process() > 0, "clocks go forward");
    aster_iso_time(iso);
    tap_ok(strlen(iso) == 20 && iso[4] == '-' && iso[10] == 'T' && iso[19] == 'Z' &&
               aster_unix_time() > 1.7e9,
           "the time of day: %s", iso);
}

int main(void)
{
    test_start();
    test_sha256();
    test_crc_and_fnv();
    test_philox();
    test_shuffles();
    test_numbers();
    test_f16();
    test_bf16();
    test_memory();
    test_text();
    test_cut();
    test_errors();
    test_log();
    test_files();
    test_clocks();
    return test_end();
}
