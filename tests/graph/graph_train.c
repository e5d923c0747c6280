/* SPDX-License-Identifier: BSD-3-Clause */
/* Proves that a training run has the same bits whatever the workers, scheduler and window, with and
 * without StarPU, stopped or killed and resumed; that predictions do not depend on how batches are
 * cut; that samples fail alone. */
#include "graph/graph.h"
#include "io/io.h"
#include "lib/tap.h"

#include <ftw.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *self;
static char top[256];

/* ---- children ---- */

/* Runs this program again as "MODE dir=TOP/NAME args"; its exit status, or -1. What it prints goes
 * to TOP/NAME/out. */
static int child(const char *mode, const char *name, const char *args)
{
    char dir[300], line[1024], *argv[40];
    int n = 0;
    snprintf(dir, sizeof dir, "%s/%s", top, name);
    mkdir(dir, 0755);
    snprintf(line, sizeof line, "dir=%s %s", dir, args);
    argv[n++] = (char *)(uintptr_t)self;
    argv[n++] = (char *)(uintptr_t)mode;
    for (char *word = strtok(line, " "); word && n < 39; word = strtok(NULL, " "))
        argv[n++] = word;
    argv[n] = NULL;
    pid_t pid = fork();
    if (pid == 0) {
        char out[320];
        snprintf(out, sizeof out, "%s/out", dir);
        if (!freopen(out, "a", stdout) || !freopen(out, "a", stderr))
            _exit(2);
        execv(self, argv);
        _exit(2);
    }
    int status = -1;
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static char *text_of(const char *name, const char *file)
{
    char path[400], *text;
    int64_t n;
    snprintf(path, sizeof path, "%s/%s/%s", top, name, file);
    return aster_file_read(NULL, path, 1 << 24, &text, &n) < 0 ? NULL : text;
}

static void show_output(const char *name)
{
    char *out = text_of(name, "out");
    if (out && *out)
        tap_note("%s: %.400s", name, out);
    aster_free(&out);
}

static bool is_silent(const char *name)
{
    char *out = text_of(name, "out");
    bool silent = out && !*out;
    aster_free(&out);
    return silent;
}

static bool same_text(const char *a, const char *b, const char *file)
{
    char *x = text_of(a, file), *y = text_of(b, file);
    bool same = x && y && *x && !strcmp(x, y);
    aster_free(&x);
    aster_free(&y);
    return same;
}

/* ---- models ---- */

static struct aster_h5 *open_model(const char *name, const char *file)
{
    char path[400];
    struct aster_h5 *f;
    snprintf(path, sizeof path, "%s/%s/%s", top, name, file);
    return aster_h5_open(NULL, path, &f) < 0 ? NULL : f;
}

/* Largest difference of the tensors of a group, relative to the largest entry; NAN when they cannot
 * be compared. */
static double group_difference(struct aster_h5 *a, struct aster_h5 *b, const char *group,
                               int64_t *n_compared)
{
    char **names, path[300];
    int64_t n;
    double worst = 0, most = 0;
    if (!aster_h5_has(a, group) || !aster_h5_has(b, group)) /* a model without running statistics */
        return aster_h5_has(a, group) == aster_h5_has(b, group) ? 0 : NAN;
    if (aster_h5_list(a, group, &names, &n) < 0)
        return NAN;
    for (int64_t k = 0; k < n; k++) {
        struct aster_h5_shape s;
        double *x = NULL, *y = NULL;
        snprintf(path, sizeof path, "%s/%s", group, names[k]);
        if (aster_h5_shape(a, path, &s) < 0 || aster_h5_read(a, path, ASTER_F64, -1, &x) < 0 ||
            aster_h5_read(b, path, ASTER_F64, s.n, &y) < 0) {
            worst = NAN;
        } else {
            for (int64_t i = 0; i < s.n; i++) {
                double d = memcmp(&x[i], &y[i], sizeof *x) ? fabs(x[i] - y[i]) : 0;
                if (!(d <= worst))
                    worst = d;
                most = fmax(most, fabs(x[i]));
            }
            *n_compared += s.n;
        }
        aster_free(&x);
        aster_free(&y);
    }
    aster_h5_names_free(&names, n);
    return worst == 0 ? 0 : worst / most;
}

static double difference(const char *a, const char *b, const char *file)
{
    static const char *const groups[] = {"weights", "buffers", "adam_m", "adam_v", "momentum"};
    struct aster_h5 *x = open_model(a, file), *y = open_model(b, file);
    double worst = x && y ? 0 : NAN;
    int64_t n = 0;
    for (int k = 0; k < 5 && x && y; k++) {
        double d = group_difference(x, y, groups[k], &n);
        if (!(d <= worst))
            worst = d;
    }
    aster_h5_close(&x);
    aster_h5_close(&y);
    return n > 0 ? worst : NAN;
}

static bool same_run(const char *a, const char *b)
{
    bool history = same_text(a, b, "history.txt"), model = difference(a, b, "final_model.h5") == 0;
    if (!history)
        tap_note("%s and %s: histories differ", a, b);
    if (!model)
        tap_note("%s and %s: models differ by %g", a, b, difference(a, b, "final_model.h5"));
    return history && model;
}

/* ---- the tests ---- */

static void test_schedulers(const char *model, const char *more)
{
    static const char *const schedulers[] = {"eager", "lws", "dmda", "dmdas"};
    char plain[64], name[64], args[200];
    snprintf(plain, sizeof plain, "plain-%s", model);
    snprintf(args, sizeof args, "model=%s %s", model, more);
    tap_ok(child("plain", plain, args) == 0, "%s: plain loops", model);
    for (int k = 0; k < 8; k++) {
        const char *scheduler = schedulers[k / 2];
        int cpus = k % 2 + 1;
        snprintf(name, sizeof name, "%s-%s-%d", model, scheduler, cpus);
        snprintf(args, sizeof args, "model=%s scheduler=%s cpus=%d %s", model, scheduler, cpus,
                 more);
        bool good = child("train", name, args) == 0;
        tap_ok(good && same_run(name, plain), "%s: %s with %d workers has the bits of plain loops",
               model, scheduler, cpus);
        if (!is_silent(name))
            show_output(name);
    }
    snprintf(name, sizeof name, "%s-lws-2", model);
    tap_ok(is_silent(name), "%s: nothing is printed", model);
}

static void test_settings(void)
{
    bool good = child("train", "other-seed", "seed=6") == 0;
    tap_ok(good && difference("other-seed", "plain-cnn", "final_model.h5") > 1e-3,
           "another seed gives another model (the comparison can fail)");
    good = child("train", "window-1", "window=1 cpus=2 scheduler=lws") == 0;
    tap_ok(good && same_run("window-1", "plain-cnn"), "a window of 1 has the same bits");
    good = child("train", "rows", "rows=1 cpus=2 scheduler=lws") == 0;
    show_output("rows");
    tap_ok(good && same_run("rows", "plain-cnn"),
           "rows from a callback have the same bits; workers flush denormals between tasks");
    good = child("plain", "plain-local", "local_bn=1 clip=1") == 0 &&
           child("train", "local", "local_bn=1 clip=1 cpus=2 scheduler=dmdas") == 0;
    tap_ok(good && same_run("local", "plain-local"),
           "local statistics and clipping have the bits of plain loops");
    static const char *const more[] = {"optimizer=sgd cosine=1", "optimizer=adamw"};
    for (int k = 0; k < 2; k++) {
        char plain[64], name[64], args[100];
        snprintf(plain, sizeof plain, "plain-more-%d", k);
        snprintf(name, sizeof name, "more-%d", k);
        snprintf(args, sizeof args, "%s cpus=2 scheduler=lws checkpoint_steps=3", more[k]);
        good = child("plain", plain, args) == 0 && child("train", name, args) == 0;
        tap_ok(good && same_run(name, plain), "%s has the bits of plain loops", more[k]);
        snprintf(name, sizeof name, "more-killed-%d", k);
        snprintf(args, sizeof args, "%s die_at=10 checkpoint_steps=3", more[k]);
        good = child("train", name, args) == 9;
        snprintf(args, sizeof args, "%s resume=1", more[k]);
        good &= child("train", name, args) == 0;
        tap_ok(good && same_run(name, plain), "%s: killed and resumed, too", more[k]);
    }
    tap_ok(difference("plain-local", "plain-cnn", "final_model.h5") > 1e-3,
           "and are another model");
    good = child("plain", "plain-f64", "f64=1 model=unet") == 0 &&
           child("train", "f64", "f64=1 model=unet cpus=2 scheduler=lws") == 0;
    tap_ok(good && same_run("f64", "plain-f64"), "double precision has the bits of plain loops");
}

/* Parameters of these models are in two pieces; of a larger one, in all that there are. */
static void test_pieces(void)
{
    static const char *const runs[][2] = {
        {"model=unet", "eager cpus=1 pieces=2"},
        {"model=unet", "dmdas cpus=2 pieces=2"},
        {"model=unet clip=1 shards=3 local_bn=1", "lws cpus=2 pieces=2"},
        {"model=lstm clip=1 f64=1 epochs=1 optimizer=sgd", "lws cpus=2 pieces=2"},
        {"model=cnn clip=1 epochs=1 width=1100 shards=8 optimizer=adamw", "lws cpus=2 pieces=8"}};
    for (int k = 0; k < 5; k++) {
        char plain[64], name[64], args[200];
        snprintf(plain, sizeof plain, "plain-pieces-%d", k);
        snprintf(name, sizeof name, "pieces-%d", k);
        snprintf(args, sizeof args, "%s reduction=pieces scheduler=%s", runs[k][0], runs[k][1]);
        bool good = child("plain", plain, runs[k][0]) == 0 && child("train", name, args) == 0;
        show_output(name);
        tap_ok(good && same_run(name, plain), "by pieces: %s has the bits of plain loops", args);
    }
    bool good =
        child("train", "pieces-stopped", "model=unet reduction=pieces pieces=2 stop_at=8") == 5 &&
        child("train", "pieces-stopped", "model=unet reduction=tree pieces=0 resume=1 cpus=2") == 0;
    tap_ok(good && same_run("pieces-stopped", "plain-unet"),
           "stopped by pieces, resumed without, it has the same bits");
}

static void test_shards(const char *model)
{
    char first[64], name[64], args[100];
    for (int shards = 1; shards <= 8; shards *= 2) {
        snprintf(name, sizeof name, "shards-%s-%d", model, shards);
        snprintf(args, sizeof args, "model=%s f64=1 shards=%d cpus=2 scheduler=lws epochs=1", model,
                 shards);
        bool good = child("train", name, args) == 0;
        if (shards == 1) {
            snprintf(first, sizeof first, "%s", name);
            tap_ok(good, "%s: one shard", model);
            continue;
        }
        double d = good ? difference(name, first, "final_model.h5") : NAN;
        tap_ok(d <= 1e-10,
               "%s: %d shards give the model of one (relative difference %.1e, at most 1e-10)",
               model, shards, d);
    }
}

static void test_resume(const char *model)
{
    char name[64], args[200], plain[64];
    snprintf(plain, sizeof plain, "plain-%s", model);
    snprintf(name, sizeof name, "stopped-%s", model);
    snprintf(args, sizeof args, "model=%s stop_at=8 cpus=2 scheduler=lws", model);
    tap_ok(child("train", name, args) == 5, "%s: a stop in the second epoch ends with a checkpoint",
           model);
    snprintf(args, sizeof args, "model=%s resume=1 cpus=1 scheduler=eager", model);
    bool good = child("train", name, args) == 0;
    show_output(name);
    tap_ok(good && same_run(name, plain),
           "%s: resumed in the middle of an epoch, with other workers, it has the same bits",
           model);
    snprintf(name, sizeof name, "killed-%s", model);
    snprintf(args, sizeof args, "model=%s die_at=9 checkpoint_steps=2 cpus=2 scheduler=lws", model);
    tap_ok(child("train", name, args) == 9, "%s: a run dies", model);
    snprintf(args, sizeof args, "model=%s resume=1 cpus=2 scheduler=dmda", model);
    good = child("train", name, args) == 0;
    tap_ok(good && same_run(name, plain), "%s: what was killed resumes with the same bits", model);
    snprintf(args, sizeof args, "model=%s resume=1", model);
    good = child("train", name, args) == 0;
    tap_ok(good && same_run(name, plain), "%s: resuming a finished run changes nothing", model);
}

static bool says(const char *name, const char *mode, const char *args, const char *words)
{
    int rc = child(mode, name, args);
    char *out = text_of(name, "out");
    bool found = rc == 1 && out && strstr(out, words);
    if (!found)
        tap_note("%s: status %d, said '%.300s', expected '%s'", name, rc, out ? out : "", words);
    aster_free(&out);
    return found;
}

static void test_weights(const char *model)
{
    char name[64], args[100];
    snprintf(name, sizeof name, "%s-lws-2", model);
    snprintf(args, sizeof args, "model=%s", model);
    bool good = child("weights", name, args) == 0;
    show_output(name);
    tap_ok(good,
           "%s: model files give back their weights, also through safetensors, and the validation "
           "metrics of their epoch",
           model);
}

static void test_refusals(void)
{
    tap_ok(says("stopped-cnn", "train", "resume=1 shards=2", "'shards: 4' there, 'shards: 2' here"),
           "a resume with another configuration names it");
    char path[400];
    snprintf(path, sizeof path, "%s/damaged", top);
    mkdir(path, 0755);
    snprintf(path, sizeof path, "%s/damaged/checkpoint.h5", top);
    FILE *f = fopen(path, "w");
    if (f) {
        fputs("not a checkpoint", f);
        fclose(f);
    }
    tap_ok(says("damaged", "train", "resume=1", "checkpoint.h5: is no HDF5 file"),
           "a damaged checkpoint is named");
    tap_ok(says("many-cpus", "train", "cpus=900", "cpus=900: this StarPU was built for at most"),
           "too many workers are refused");
    tap_ok(says("no-pieces", "train", "model=unet pieces=2", "parameters in 0 pieces, expected 2"),
           "cores sum whole gradients unless pieces are asked for");
    tap_ok(says("scheduler", "train", "scheduler=dmdass", "nearest: dmdas"),
           "an unknown scheduler is refused");
    tap_ok(
        says("small", "train", "memory=100000", "of the memory limit are free; lower batch_size"),
        "training beyond the memory limit is refused");
    tap_ok(says("fail-train", "train", "rows=1 fail_row=1",
                "validation sample 4 of 11 cannot be read"),
           "a validation sample that cannot be read is named");
}

/* Lines of a file of predictions that are not in another one. */
static int other_lines(const char *a, const char *b)
{
    char *x = text_of(a, "probs.txt"), *y = text_of(b, "probs.txt"), *p = x, *q = y;
    int n = x && y ? 0 : 999;
    while (p && q && *p && *q) {
        size_t k = strcspn(p, "\n"), l = strcspn(q, "\n");
        n += k != l || memcmp(p, q, k) != 0;
        p += k + (p[k] == '\n');
        q += l + (q[l] == '\n');
    }
    n += p && q && (*p || *q);
    aster_free(&x);
    aster_free(&y);
    return n;
}

static int count_of(const char *name, const char *words)
{
    char *x = text_of(name, "probs.txt");
    int n = 0;
    for (char *p = x ? strstr(x, words) : NULL; p; p = strstr(p + 1, words))
        n++;
    aster_free(&x);
    return n;
}

static void test_predict(const char *model)
{
    char base[64], name[64], args[200];
    snprintf(base, sizeof base, "predict-%s", model);
    snprintf(args, sizeof args, "model=%s full_padding=1", model);
    tap_ok(child("predict", base, args) == 0 && count_of(base, " 0 0x") == N_VAL,
           "%s: predictions of all samples", model);
    static const struct {
        const char *name, *args;
    } cases[] = {
        {"extents", "cpus=2 scheduler=lws"},
        {"batch of one", "batch=1"},
        {"batch of all", "batch=16 cpus=2"},
        {"rows", "rows=1"},
    };
    for (int k = 0; k < 4; k++) {
        snprintf(name, sizeof name, "predict-%s-%d", model, k);
        snprintf(args, sizeof args, "model=%s %s", model, cases[k].args);
        bool good = child("predict", name, args) == 0;
        show_output(name);
        /* other batches have other lines of loss */
        tap_ok(good && (k == 1 || k == 2 || other_lines(name, base) == 0) &&
                   count_of(name, " 0 0x") == N_VAL,
               "%s: %s", model, cases[k].name);
    }
    snprintf(name, sizeof name, "predict-%s-fail", model);
    snprintf(args, sizeof args, "model=%s rows=1 fail_row=1 cpus=2", model);
    bool good = child("predict", name, args) == 0;
    snprintf(args, sizeof args, "%d %d\n", N_TRAIN + 3, ASTER_EIO);
    tap_ok(good && other_lines(name, base) == 1 && count_of(name, args) == 1,
           "%s: a sample that cannot be read fails alone", model);
}

static void test_memory(void)
{
    tap_ok(child("predict", "limit-none", "batch=8") == 0, "predictions without a limit");
    bool halved = false, alone = false;
    for (int64_t memory = 4 << 20; memory >= 4 << 10; memory /= 2) {
        char name[64], args[100];
        snprintf(name, sizeof name, "limit-%lld", (long long)memory);
        snprintf(args, sizeof args, "batch=8 window=2 memory=%lld", (long long)memory);
        bool good = child("predict", name, args) == 0;
        int computed = count_of(name, " 0 0x"), refused = count_of(name, " -7\n");
        if (computed == N_VAL) {
            good &= other_lines(name, "limit-none") == 0;
            halved = true;
        } else {
            good &= computed == 0 && refused == N_VAL;
            alone = true;
        }
        tap_ok(good, "a limit of %lld KiB: %d samples computed with the same bits, %d refused",
               (long long)memory >> 10, computed, refused);
    }
    tap_ok(halved && alone, "some limits let samples through, some none");
}

static void test_products(const char *model, const char *products)
{
    char plain[64], whole[64], name[64], args[200];
    snprintf(plain, sizeof plain, "plain-%s-%s", model, products);
    snprintf(whole, sizeof whole, "plain-%s", model);
    snprintf(name, sizeof name, "train-%s-%s", model, products);
    snprintf(args, sizeof args, "model=%s products=%s epochs=2", model, products);
    bool good = child("plain", plain, args) == 0;
    snprintf(args, sizeof args, "model=%s products=%s epochs=2 cpus=2 scheduler=lws", model,
             products);
    good &= child("train", name, args) == 0;
    tap_ok(good && same_run(name, plain), "%s in %s: two workers have the bits of plain loops",
           model, products);
    tap_ok(difference(name, whole, "final_model.h5") > 1e-4, "and are another model than f32's");
}

static void test_products_more(const char *model, const char *products)
{
    char plain[64], whole[64], name[64], args[200];
    snprintf(plain, sizeof plain, "plain-%s-%s", model, products);
    snprintf(name, sizeof name, "killed-%s-%s", model, products);
    snprintf(args, sizeof args, "model=%s products=%s epochs=2 die_at=5 checkpoint_steps=2", model,
             products);
    bool good = child("train", name, args) == 9;
    char words[100];
    snprintf(words, sizeof words, "'precision: %s' there, 'precision: f32' here", products);
    snprintf(args, sizeof args, "model=%s resume=1", model);
    tap_ok(good && says(name, "train", args, words), "%s: goes on in no other precision", name);
    snprintf(args, sizeof args, "model=%s products=%s epochs=2 resume=1", model, products);
    good &= child("train", name, args) == 0;
    tap_ok(good && same_run(name, plain), "and in its own with the same bits");
    snprintf(args, sizeof args, "model=%s products=%s full_padding=1", model, products);
    snprintf(whole, sizeof whole, "predict-%s-%s", model, products);
    good = child("predict", whole, args) == 0;
    snprintf(args, sizeof args, "model=%s products=%s cpus=2 scheduler=lws", model, products);
    snprintf(name, sizeof name, "extents-%s-%s", model, products);
    good &= child("predict", name, args) == 0;
    snprintf(plain, sizeof plain, "predict-%s", model);
    tap_ok(good && other_lines(name, whole) == 0 && other_lines(name, plain) >= N_VAL,
           "%s in %s: predictions by extents have the bits of those of all padding", model,
           products);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    return remove(path);
}

int main(int argc, char **argv)
{
    struct run r;
    if (argc > 1) {
        if (run_parse(argc - 2, argv + 2, &r) < 0)
            return 2;
        if (!strcmp(argv[1], "plain"))
            return run_plain(&r);
        if (!strcmp(argv[1], "weights"))
            return run_weights(&r);
        return !strcmp(argv[1], "train") ? run_train(&r) : run_predict(&r);
    }
    const char *tmp = getenv("TMPDIR");
    int n = snprintf(top, sizeof top - 8, "%s/asterism-graph-", tmp && *tmp ? tmp : "/tmp");
    if (n < 0 || n > (int)sizeof top - 9)
        return 1;
    memset(top + n, 'X', 6); /* the part that mkdtemp chooses */
    self = "/proc/self/exe";
    if (!mkdtemp(top))
        return 1;
    test_schedulers("cnn", "");
    test_schedulers("unet", "");
    test_schedulers("lstm", "epochs=2");
    test_settings();
    test_pieces();
    test_shards("cnn");
    test_shards("unet");
    test_resume("cnn");
    test_resume("unet");
    test_weights("cnn");
    test_weights("unet");
    test_weights("lstm");
    test_refusals();
    test_predict("cnn");
    test_predict("unet");
    test_predict("lstm");
    test_memory();
    test_products("lstm", "tf32");
    test_products("cnn", "bf16");
    test_products_more("cnn", "bf16");
    if (!getenv("ASTERISM_KEEP"))
        nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    else
        tap_note("kept: %s", top);
    return tap_done();
}
