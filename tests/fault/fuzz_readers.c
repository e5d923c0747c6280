/* SPDX-License-Identifier: BSD-3-Clause */
/* Damaged inputs for every reader: each must end in success or in a message, within memory and
 * time, and leave nothing allocated. fuzz-readers [SEED SECONDS [READER]]: one second per reader
 * and a fixed seed without arguments; fifteen and any seed in the long tests. */
#include "fuzz_formats.h"
#include "fuzz_structures.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

enum { SLOWEST_S = 5, IN_LIBRARY = 40 };
#define MEMORY_LIMIT (1ULL << 30)

/* Seen by parent and child: how far the child came. */
struct progress {
    uint64_t runs, good, refused, silent, leaked, in_library;
};

/* ---- damage ---- */

struct source {
    uint64_t seed, stream, index;
};

static uint64_t draw(struct source *s, uint64_t n)
{
    return n ? (uint64_t)(aster_uniform(s->seed, s->stream, s->index++) * (double)n) : 0;
}

static uint64_t odd_number(struct source *s)
{
    static const uint64_t numbers[] = {0,          1,          2,          7,          8,
                                       127,        128,        255,        256,        32767,
                                       65535,      65536,      1ULL << 20, INT32_MAX,  1ULL << 31,
                                       UINT32_MAX, 1ULL << 32, 1ULL << 40, 1ULL << 50, 1ULL << 62,
                                       INT64_MAX,  1ULL << 63, UINT64_MAX};
    return numbers[draw(s, sizeof numbers / sizeof *numbers)];
}

/* Replaces n_old bytes at at by others; keeps the input below its limit. */
static void splice(struct blob *b, size_t at, size_t n_old, const char *with, size_t n_new)
{
    if (at > b->n || n_old > b->n - at || b->n - n_old + n_new > LARGEST_INPUT)
        return;
    memmove(b->bytes + at + n_new, b->bytes + at + n_old, b->n - at - n_old);
    memcpy(b->bytes + at, with, n_new);
    b->n = b->n - n_old + n_new;
}

static void damage(struct blob *b, struct source *s, const char *const *words)
{
    static char copy[LARGEST_INPUT];
    size_t at = (size_t)draw(s, b->n), n;
    uint64_t v;
    char digits[24];
    int n_words = 0;
    while (words && words[n_words])
        n_words++;
    switch (draw(s, n_words ? 9 : 7)) {
    case 0: /* a bit */
        if (b->n)
            b->bytes[at] = (char)(b->bytes[at] ^ 1 << draw(s, 8));
        break;
    case 1: /* a byte */
        if (b->n)
            b->bytes[at] = (char)draw(s, 256);
        break;
    case 2: /* a number of 2, 4 or 8 bytes, often where one can stand */
        n = (size_t)2 << draw(s, 3);
        at -= draw(s, 2) ? at % n : 0;
        v = odd_number(s);
        if (b->n >= n && at <= b->n - n)
            memcpy(b->bytes + at, &v, n);
        break;
    case 3: /* cut off */
        b->n = at;
        break;
    case 4: /* a piece less */
        splice(b, at, (size_t)draw(s, 64), "", 0);
        break;
    case 5: /* a piece twice */
    case 6: /* a piece elsewhere, over what was there */
        n = (size_t)draw(s, 64);
        if (at <= b->n && n <= b->n - at) {
            memcpy(copy, b->bytes + at, n);
            size_t to = (size_t)draw(s, b->n);
            splice(b, to, draw(s, 2) ? n : 0, copy, n);
        }
        break;
    case 7: /* a word of the format */
        n = (size_t)draw(s, (uint64_t)n_words);
        splice(b, at, (size_t)draw(s, 4), words[n], strlen(words[n]));
        break;
    default: /* digits */
        snprintf(digits, sizeof digits, "%llu", (unsigned long long)odd_number(s));
        splice(b, at, (size_t)draw(s, 4), digits, strlen(digits));
    }
}

/* ---- the runs ---- */

/* One damaged input, determined by seed, reader and number. */
static void make_input(const struct reader *r, uint64_t seed, uint64_t stream, uint64_t number,
                       struct blob *out)
{
    struct source s = {seed, stream, number << 20};
    const struct blob *from = &r->seed[draw(&s, (uint64_t)r->n_seeds)];
    memcpy(out->bytes, from->bytes, from->n);
    out->n = from->n;
    for (int64_t k = 1 + (int64_t)draw(&s, 3); k > 0; k--)
        damage(out, &s, r->words);
}

/* A crash or a loop is ours unless the innermost function outside libc and the sanitizer is one of
 * the HDF5 library. */
static bool inside_library(void)
{
    void *frames[64];
    Dl_info self, where;
    int n = backtrace(frames, 64), k = 0;
    if (!dladdr((void *)(uintptr_t)inside_library, &self))
        return false;
    for (int j = 0; j < n && j < 4; j++) /* past the handler itself */
        if (dladdr(frames[j], &where) && where.dli_fbase == self.dli_fbase)
            k = j + 1;
    for (; k < n; k++) {
        if (!dladdr(frames[k], &where) || !where.dli_fname)
            continue;
        const char *file = aster_path_base(where.dli_fname);
        if (!strncmp(file, "libhdf5", 7))
            return true;
        if (where.dli_fbase == self.dli_fbase || !strncmp(file, "libz.", 5))
            return false;
    }
    return false;
}

static void on_signal(int number)
{
    if (inside_library())
        _exit(IN_LIBRARY);
    signal(number, SIG_DFL);
    raise(number);
}

#ifdef __SANITIZE_ADDRESS__
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1"; /* as malloc does without it */
}

static void on_report(void)
{
    if (inside_library())
        _exit(IN_LIBRARY);
}
#endif

static void prepare_child(void)
{
    static char stack[1 << 16];
    static const int signals[] = {SIGALRM, SIGABRT, SIGFPE, SIGSEGV, SIGBUS, SIGILL};
    void *frame[1];
    stack_t other = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK | SA_NODEFER};
    backtrace(frame, 1); /* loads what it needs now, not in a handler */
    sigaltstack(&other, NULL);
    for (size_t k = 0; k < sizeof signals / sizeof *signals; k++)
#ifdef __SANITIZE_ADDRESS__
        if (signals[k] == SIGALRM)
#endif
            sigaction(signals[k], &action, NULL);
#ifdef __SANITIZE_ADDRESS__
    __asan_set_death_callback(on_report);
#else
    struct rlimit limit = {MEMORY_LIMIT, MEMORY_LIMIT};
    if (setrlimit(RLIMIT_AS, &limit) < 0)
        _exit(3);
#endif
}

static void run_input(const struct reader *r, uint64_t seed, uint64_t stream, struct progress *p)
{
    static char bytes[LARGEST_INPUT];
    struct blob input = {bytes, 0};
    make_input(r, seed, stream, p->runs, &input);
    const char *path = put_bytes("input", input.bytes, input.n);
    int64_t live = aster_live_allocations();
    alarm(SLOWEST_S);
    int rc = r->read(path);
    alarm(0);
    bool said = rc < 0 && aster_ctx_code(ctx) == rc &&
                (rc == ASTER_ENOMEM || strstr(aster_ctx_message(ctx), "input"));
    if (rc < 0 ? !said : aster_ctx_code(ctx) != 0) {
        tap_note("%s, input %llu: code %d, message '%s'", r->name, (unsigned long long)p->runs, rc,
                 aster_ctx_message(ctx));
        p->silent++;
    }
    p->good += rc >= 0;
    p->refused += rc < 0;
    p->leaked += aster_live_allocations() != live;
    aster_ctx_clear(ctx);
}

static void child(const struct reader *r, uint64_t seed, uint64_t stream, double end,
                  struct progress *p)
{
    prepare_child();
    do {
        run_input(r, seed, stream, p);
        p->runs++;
    } while (!r->fresh && aster_wall() < end);
    _exit(0);
}

/* Children one after the other until the time is over or one ends by our fault. */
static bool run_children(const struct reader *r, uint64_t seed, uint64_t stream, double seconds,
                         struct progress *p)
{
    for (double end = aster_wall() + seconds; aster_wall() < end;) {
        int status = 0;
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0)
            child(r, seed, stream, end, p);
        if (pid < 0 || waitpid(pid, &status, 0) != pid)
            exit(1);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
            continue;
        if (r->fresh && WIFEXITED(status) && WEXITSTATUS(status) == IN_LIBRARY) {
            tap_note("%s: seed %llu, input %llu ended inside the HDF5 library", r->name,
                     (unsigned long long)seed, (unsigned long long)p->runs);
            p->in_library++;
            p->runs++;
            continue;
        }
        tap_note("%s: seed %llu, input %llu ended the process (%s %d)", r->name,
                 (unsigned long long)seed, (unsigned long long)p->runs,
                 WIFSIGNALED(status) ? "signal" : "status",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        return false;
    }
    return true;
}

static void test_reader(struct reader *r, uint64_t seed, uint64_t stream, double seconds)
{
    struct progress *p =
        mmap(NULL, sizeof *p, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        exit(1);
    r->make(r);
    bool whole = run_children(r, seed, stream, seconds, p);
    tap_ok(whole && p->runs > 0, "%s: %llu damaged inputs, %llu read, %llu refused", r->name,
           (unsigned long long)p->runs, (unsigned long long)p->good,
           (unsigned long long)p->refused);
    tap_ok(p->silent == 0, "%s: every refusal names the file", r->name);
    tap_ok(p->leaked == 0, "%s: nothing stays allocated", r->name);
    if (p->runs >= 100) /* a slow machine or a sanitizer gets through few in a second */
        tap_ok(p->refused > 0 && p->good > 0, "%s: the damage matters, but not always", r->name);
    else
        tap_skip("%s: too few inputs to say how often the damage matters", r->name);
    if (p->in_library)
        tap_skip("%s: %llu inputs ended inside the HDF5 library; they say nothing about our reader",
                 r->name, (unsigned long long)p->in_library);
    for (int k = 0; k < r->n_seeds; k++)
        free(r->seed[k].bytes);
    munmap(p, sizeof *p);
}

int main(int argc, char **argv)
{
    static const char *const csv_words[] = {"\"",  "\"\"",         ",",    "\n", "\r\n", ",\"",
                                            "\",", "\xef\xbb\xbf", "\xc3", NULL};
    static const char *const fasta_words[] = {">", "\n>", "\n",           "\r",
                                              " ", "\t",  "\xef\xbb\xbf", NULL};
    static const char *const json_words[] = {
        "{",  "}",    "[",     "]",      "[[[[[[[[[[[[[[[[[[[[",
        ":",  ",",    "\"",    "\\u",    "\\ud83d",
        "\\", "true", "null",  "NaN",    "-",
        "e",  ".",    "1e999", "\"a\":", NULL};
    static const char *const st_words[] = {
        "{",   "}",  "[",    "]", ",", "\"", "\"__metadata__\":", "\"data_offsets\":[0,0]",
        "F64", "U8", "BOOL", "-", NULL};
    static const char *const npz_words[] = {
        "PK\1\2", "PK\3\4", "PK\5\6", "PK\6\6", "PK\6\7", "(",    ")",          ",", "'",
        "<f8",    "<U9",    "|S1",    ">",      "|b1",    "True", "'shape': (", NULL};
    static const char *const torch_words[] = {"PK\1\2",
                                              "PK\3\4",
                                              "PK\5\6",
                                              "(",
                                              ")",
                                              "t",
                                              "}",
                                              "]",
                                              "u",
                                              "e",
                                              "R",
                                              "Q",
                                              "b",
                                              ".",
                                              "h\1",
                                              "q\1",
                                              "K\1",
                                              "\x85",
                                              "\x86",
                                              "\x87",
                                              "\x81",
                                              "archive/",
                                              "storage",
                                              "ctorch\n",
                                              "LongStorage\n",
                                              "ccollections\nOrderedDict\n",
                                              NULL};
    static const char *const yaml_words[] = {
        "{",    "}",    "[",      "]",       ": ",          "\n",           "\n  ", "- ",
        "? ",   "&a ",  "*a",     "!!int ",  "---\n",       "\"",           "'",    "|\n",
        ">-\n", "$n",   "${n}",   "$$",      "#",           "\t",           "null", "1e999",
        ".nan", "0x10", "source", "stage: ", "%YAML 9.9\n", "\xef\xbb\xbf", "\xc3", NULL};
    static const char *const xyz_words[] = {
        "Lattice=\"", "Properties=", "pos:R:3", ":species:S:1", "forces:R:3", "pbc=\"T T T\"",
        "stress=",    "virial=",     "energy=", "\"",           "\\",         "{",
        "]",          "\n",          "\n1\n",   "\n\n",         "nan",        "1e999",
        "-",          " ",           "\t",      "\r",           "\xc3",       "1e-9",
        "Og",         NULL};
    struct reader readers[] = {
        {"csv", make_csv, read_csv, csv_words, false, {{0}}, 0},
        {"fasta", make_fasta, read_fasta, fasta_words, false, {{0}}, 0},
        {"dna", make_dna, read_dna, fasta_words, false, {{0}}, 0},
        {"json", make_json, read_json, json_words, false, {{0}}, 0},
        {"safetensors", make_safetensors, read_safetensors, st_words, false, {{0}}, 0},
        {"weights", make_safetensors, read_weightfile, st_words, false, {{0}}, 0},
        {"torch", make_torch_files, read_weightfile, torch_words, false, {{0}}, 0},
        {"tokenizer", make_tokenizer, read_tokenizer, json_words, false, {{0}}, 0},
        {"npz", make_npz, read_npz, npz_words, false, {{0}}, 0},
        {"h5", make_h5, read_h5, NULL, true, {{0}}, 0},
        {"h5-old", make_old_h5, read_h5, NULL, true, {{0}}, 0},
        {"xyz", make_xyz, read_structures, xyz_words, false, {{0}}, 0},
        {"structures-h5", make_ragged, read_structures, NULL, true, {{0}}, 0},
        {"h5-weights", make_h5_weights, read_weightfile, NULL, true, {{0}}, 0},
        {"yaml", make_yaml, read_yaml, yaml_words, false, {{0}}, 0}};
    int64_t seed = 1;
    double seconds = 1;
    if (argc == 2 || argc > 4 ||
        (argc > 2 &&
         (aster_parse_i64(argv[1], &seed) < 0 || aster_parse_f64(argv[2], &seconds) < 0))) {
        printf("Bail out! fuzz-readers [SEED SECONDS [READER]]\n");
        return 1;
    }
    if (argc == 1 && getenv("ASTERISM_LONG")) {
        seed = (int64_t)aster_unix_time();
        seconds = 15;
    }
    tap_note("seed %lld, %g s of each", (long long)seed, seconds);
    if (!getenv("TMPDIR") && access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 1); /* no disk: many times more inputs */
    test_start();
    for (size_t k = 0; k < sizeof readers / sizeof *readers; k++)
        if (argc < 4 || !strcmp(argv[3], readers[k].name))
            test_reader(&readers[k], (uint64_t)seed, k, seconds);
    return test_end();
}
