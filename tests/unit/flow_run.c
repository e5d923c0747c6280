/* SPDX-License-Identifier: BSD-3-Clause */
/* The folder of a run and what is kept in it: numbers and locks, run.yaml, shards, the ledger,
 * histories, plots. */
#include "flow/columns.h"
#include "flow/report.h"
#include "flow/svg.h"
#include "flow/training.h"
#include "unit/files.h"

#include <math.h>

static const struct aster_opt no_options[] = {{NULL, ASTER_OPT_STR, NULL, 0, 0, NULL, NULL, NULL}};
static const struct aster_stage_kind kind = {"none", "none", "Nothing.", no_options, NULL, NULL};
static const struct aster_stage_spec stage = {"only", &kind, NULL, 0, 0};
static const struct aster_run_param params[] = {
    {"plain", "1", true}, {"odd", "a: \"b\" # c\\\n- d", true}, {"empty", "", false}};
static const struct aster_run_spec spec = {"test", "test.yaml", "asterism: 1\n", 3,
                                           params, 1,           &stage};

static struct aster_run begin(const char *dir, bool resume)
{
    static struct aster_run_options options[16];
    static int n;
    struct aster_run_options *o = &options[n++ % 16];
    *o = (struct aster_run_options){.out = dir, .resume = resume, .quiet = true};
    struct aster_run run = {.ctx = ctx, .spec = &spec, .opt = o, .lock = -1};
    snprintf(run.hash, sizeof run.hash, "%064d", 7);
    aster_iso_time(run.started);
    return run;
}

static void end(struct aster_run *run)
{
    aster_rundir_leave(run);
    aster_free(&run->dir);
}

/* ---- folder ---- */
static void folders(void)
{
    char old[PATH_MAX];
    if (!getcwd(old, sizeof old) || chdir(test_dir) < 0) {
        tap_ok(false, "the test's folder");
        return;
    }
    struct aster_run a = begin(NULL, false), b = begin(NULL, false), c = begin(NULL, true);
    tap_ok(fine(aster_rundir_take(&a)) && !strcmp(a.dir, "runs/test/run_001"),
           "the first run has number 1");
    tap_ok(mkdir("runs/test/run_007", 0777) == 0 && mkdir("runs/test/run_x", 0777) == 0 &&
               fine(aster_rundir_take(&b)) && !strcmp(b.dir, "runs/test/run_008"),
           "the next number follows the highest, not the count");
    end(&b);
    tap_ok(fine(aster_rundir_take(&c)) && !strcmp(c.dir, "runs/test/run_008") && !c.resumed,
           "resume takes the latest; one without run.yaml begins anew");
    struct aster_run d = begin("runs/test/run_001", true);
    int rc = aster_rundir_take(&d);
    char who[64];
    snprintf(who, sizeof who, "process %ld", (long)getpid());
    failed_with("a folder in use", rc, ASTER_EEXIST, "runs/test/run_001", "in use by another run",
                who, NULL);
    end(&d);
    tap_ok(fine(aster_runfile_write(&a, "running")), "run.yaml");
    end(&a);
    struct aster_run e = begin("runs/test/run_001", false);
    failed_with("a folder that holds a run", aster_rundir_take(&e), ASTER_EEXIST,
                "already holds a run", "--resume", NULL);
    end(&e);
    struct aster_run f = begin("runs/test/run_001", true);
    tap_ok(fine(aster_rundir_take(&f)) && f.resumed, "is resumed on request");
    end(&f);
    end(&c);
    if (chdir(old) < 0)
        tap_ok(false, "back in the old folder");
}

static void run_yaml(void)
{
    struct aster_run run = begin(in_dir("yaml"), false);
    struct aster_runfile f;
    if (!fine(aster_rundir_take(&run)))
        return;
    tap_ok(fine(aster_run_fact(&run, "loops", "%d of %d", 3, 4)) &&
               fine(aster_runfile_write(&run, "done")),
           "written");
    tap_ok(fine(aster_runfile_read(ctx, run.dir, &f)), "read back");
    const char *odd = aster_runfile_get(&f, "parameters", "odd"),
               *empty = aster_runfile_get(&f, "parameters", "empty");
    tap_ok(odd && !strcmp(odd, params[1].value) && empty && !*empty,
           "values come back as they were, whatever is in them");
    tap_ok(!strcmp(aster_runfile_get(&f, "", "state"), "done") &&
               !strcmp(aster_runfile_get(&f, "facts", "loops"), "3 of 4") &&
               !strcmp(aster_runfile_get(&f, "stages.only", "stage"), "none") &&
               !aster_runfile_get(&f, "parameters", "state"),
           "each in its section");
    aster_runfile_free(&f);
    aster_run_free_parts(&run);
    end(&run);
}

/* ---- shards ---- */
static struct aster_shard *made_shard(int64_t index, int64_t n)
{
    struct aster_shard *s = NULL;
    char id[32], reason[64];
    if (aster_shard_new(ctx, index, 10 * index, n, &s) < 0)
        return NULL;
    for (int64_t i = 0; i < n; i++) {
        struct aster_item *x = &s->items[s->n++];
        snprintf(id, sizeof id, i == 2 ? "" : "item %lld/%lld", (long long)index, (long long)i);
        snprintf(reason, sizeof reason, "because of %lld", (long long)i);
        bool bad = i % 3 == 1;
        *x = (struct aster_item){.length = 5 + i,
                                 .hash = UINT64_MAX - (uint64_t)i,
                                 .begin = i % 2 ? -1 : i,
                                 .end = i % 2 ? -1 : i + 3,
                                 .confidence = i % 2 ? 0 : 0.1 * (double)i,
                                 .status = bad ? ASTER_ELIMIT : 0};
        if (aster_strdup(ctx, id, &x->id) < 0 ||
            (bad && aster_strdup(ctx, reason, &x->reason) < 0) ||
            (!bad && aster_alloc(ctx, x->length, sizeof *x->prob, &x->prob) < 0))
            return s;
        for (int64_t t = 0; x->prob && t < x->length; t++)
            x->prob[t] = (float)(i + t) / 64;
    }
    aster_str_printf(&s->text[ASTER_TEXT_CSV], "rows of %lld\n", (long long)index);
    return s;
}

static bool same_items(const struct aster_shard *a, const struct aster_shard *b)
{
    bool same = a && b && a->n == b->n && a->first == b->first;
    for (int64_t i = 0; same && i < a->n; i++) {
        const struct aster_item *x = &a->items[i], *y = &b->items[i];
        same = !strcmp(x->id, y->id) && x->length == y->length && x->hash == y->hash &&
               x->begin == y->begin && x->end == y->end && x->confidence == y->confidence &&
               x->status == y->status && !x->reason == !y->reason &&
               (!x->reason || !strcmp(x->reason, y->reason)) && !x->prob == !y->prob &&
               (!x->prob || !memcmp(x->prob, y->prob, (size_t)x->length * sizeof *x->prob));
    }
    return same;
}

static int nothing(void *arg, const struct aster_shard *shard)
{
    *(int64_t *)arg += shard->n;
    return 0;
}

static bool file_is(const char *path, const char *want)
{
    char *text = NULL;
    int64_t n;
    bool same = aster_file_read(ctx, path, 1 << 20, &text, &n) == 0 && !strcmp(text, want);
    if (!same)
        tap_note("%s: %s", path, text ? text : "cannot be read");
    aster_free(&text);
    return same;
}

static void damage(struct aster_run *run)
{
    struct aster_store *s = NULL;
    struct aster_shard *back = NULL;
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/shards/only/manifest.tsv", run->dir);
    FILE *f = fopen(path, "a");
    if (f) {
        fputs("2\t77\tfeed", f); /* a line that a kill tore */
        fclose(f);
    }
    tap_ok(f && fine(aster_store_open(run, "only", &s)) && aster_store_has(s, 0) &&
               aster_store_has(s, 1) && !aster_store_has(s, 2),
           "a torn line of the manifest is no commit");
    struct aster_shard *third = made_shard(2, 4);
    tap_ok(fine(aster_shard_commit(ctx, s, third)), "and does not spoil the next line");
    aster_store_close(&s);
    tap_ok(fine(aster_store_open(run, "only", &s)) && aster_store_has(s, 2) &&
               fine(aster_shard_load(ctx, s, 2, &back)) && same_items(third, back),
           "which is there later");
    aster_shard_free(&back);
    aster_shard_free(&third);
    snprintf(path, sizeof path, "%s/shards/only/part-000001.h5", run->dir);
    f = fopen(path, "r+");
    if (f && fseek(f, 300, SEEK_SET) == 0) {
        fputc(0x5a, f);
        fclose(f);
    }
    failed_with("a shard that changed after its commit", aster_shard_load(ctx, s, 1, &back),
                ASTER_EFORMAT, "part-000001.h5", "not the file that was committed", NULL);
    tap_ok(!back, "is not given out");
    aster_store_close(&s);
}

/* Three parts are there, the second is damaged. */
static void forget(struct aster_run *run)
{
    struct aster_store *s = NULL;
    struct aster_shard *first = made_shard(0, 10), *back = NULL;
    tap_ok(fine(aster_store_open(run, "only", &s)) && aster_store_has(s, 0) &&
               fine(aster_store_forget(s, 0)) && !aster_store_has(s, 0) &&
               aster_store_bytes(s, 0) == 0,
           "a part that is forgotten is not there");
    aster_store_close(&s);
    tap_ok(fine(aster_store_open(run, "only", &s)) && !aster_store_has(s, 0) &&
               aster_store_has(s, 2) && aster_store_bytes(s, 2) > 0,
           "nor for a run that goes on; the others are");
    tap_ok(fine(aster_shard_commit(ctx, s, first)) && aster_store_has(s, 0),
           "it can be committed again");
    aster_store_close(&s);
    tap_ok(fine(aster_store_open(run, "only", &s)) && aster_store_has(s, 0) &&
               fine(aster_shard_load(ctx, s, 0, &back)) && same_items(first, back),
           "and is there then");
    aster_shard_free(&back);
    aster_shard_free(&first);
    aster_store_close(&s);
}

static void shards(void)
{
    struct aster_run run = begin(in_dir("shards"), false);
    struct aster_store *s = NULL;
    struct aster_shard *a = made_shard(0, 10), *b = made_shard(1, 3), *back = NULL;
    const struct aster_results_file file = {ASTER_TEXT_CSV, "head\n", "all.csv"};
    struct aster_h5 *h5 = NULL;
    int64_t seen = 0, *offsets = NULL;
    char path[PATH_MAX];
    if (!fine(aster_rundir_take(&run)) || !fine(aster_store_open(&run, "only", &s)))
        return;
    tap_ok(!aster_store_has(s, 0) && fine(aster_shard_commit(ctx, s, b)) &&
               fine(aster_shard_commit(ctx, s, a)),
           "shards are committed in any order");
    tap_ok(fine(aster_shard_load(ctx, s, 0, &back)) && same_items(a, back),
           "and come back to the bit");
    tap_ok(!strcmp(aster_str_get(&back->text[ASTER_TEXT_CSV]), "rows of 0\n") &&
               !back->text[ASTER_TEXT_TSV].len,
           "with their texts");
    aster_shard_free(&back);
    tap_ok(fine(aster_results_write(&run, s, 2, 1, &file, nothing, &seen)) && seen == 13,
           "put together in their order");
    snprintf(path, sizeof path, "%s/all.csv", run.dir);
    tap_ok(file_is(path, "head\nrows of 0\nrows of 1\n"), "the text file");
    snprintf(path, sizeof path, "%s/results.h5", run.dir);
    struct aster_columns c = {0};
    tap_ok(fine(aster_h5_open(ctx, path, &h5)) && fine(aster_columns_read(ctx, h5, path, 13, &c)) &&
               c.n_prob == 80 &&
               fine(aster_h5_read(h5, "probability_offsets", ASTER_I64, 14, &offsets)) &&
               offsets[13] == 80,
           "results.h5 has the columns of all");
    aster_columns_free(&c);
    aster_free(&offsets);
    aster_h5_close(&h5);
    aster_store_close(&s);
    damage(&run);
    forget(&run);
    aster_store_remove_all(&run);
    snprintf(path, sizeof path, "%s/shards", run.dir);
    tap_ok(!aster_file_exists(path), "shards are removed");
    aster_shard_free(&a);
    aster_shard_free(&b);
    end(&run);
}

static void ledger(void)
{
    struct aster_run run = begin(in_dir("ledger"), false);
    struct aster_str lines = {0};
    char path[PATH_MAX];
    if (!fine(aster_rundir_take(&run)))
        return;
    snprintf(path, sizeof path, "%s/failed_items.tsv", run.dir);
    tap_ok(fine(aster_ledger_reset(&run, "b")) && fine(aster_ledger_add(&run, &lines)) &&
               !aster_file_exists(path),
           "no failure, no file");
    aster_ledger_line(&lines, "x", "a", "too\tlong\n");
    aster_ledger_line(&lines, "y", "b", "b b");
    tap_ok(fine(aster_ledger_add(&run, &lines)) &&
               file_is(path, "key\tstage\treason\nx\ta\ttoo long \ny\tb\tb b\n"),
           "one line each");
    tap_ok(fine(aster_ledger_reset(&run, "b")) &&
               file_is(path, "key\tstage\treason\nx\ta\ttoo long \n"),
           "a stage takes back its own");
    tap_ok(fine(aster_ledger_reset(&run, "a")) && !aster_file_exists(path),
           "the last one takes the file");
    aster_str_free(&lines);
    end(&run);
}

/* ---- histories and plots ---- */
static struct aster_epoch epoch(int64_t k, double x)
{
    return (struct aster_epoch){.epoch = k,
                                .train_loss = x,
                                .val_loss = 1.0 / 3,
                                .lr = 1e-3,
                                .seconds = 2,
                                .val = {x, 0, 1, 0.25, 0.5, -0.125, 1e-7},
                                .best = k == 0};
}

static void history(void)
{
    static const char json[] =
        "{\n  \"train_losses\": [\n    0.5,\n    0.1\n  ],\n  \"val_losses\": [\n    "
        "0.3333333333333333,\n    0.3333333333333333\n"
        "  ],\n  \"val_metrics\": {\n    \"accuracy\": [\n      0.5,\n      0.1\n    ],\n    "
        "\"precision\": [\n      0.0,\n      0.0\n"
        "    ],\n    \"recall\": [\n      1.0,\n      1.0\n    ],\n    \"f1\": [\n      0.25,\n    "
        "  0.25\n    ],\n"
        "    \"f1_macro\": [\n      0.5,\n      0.5\n    ],\n    \"mcc\": [\n      -0.125,\n      "
        "-0.125\n    ],\n"
        "    \"auc\": [\n      1e-07,\n      1e-07\n    ]\n  }\n}";
    struct aster_history h = {0}, back;
    const struct aster_epoch e[] = {epoch(0, 0.5), epoch(1, 0.7), epoch(1, 0.1)};
    bool good = true;
    for (int k = 0; k < 3; k++)
        good &= fine(aster_history_add(ctx, &h, &e[k]));
    tap_ok(good && h.n == 2 && h.e[1].train_loss == 0.1, "an epoch that is repeated counts once");
    tap_ok(fine(aster_history_write(ctx, test_dir, &h)) &&
               file_is(in_dir("training_history.json"), json),
           "training_history.json as the reference writes it");
    tap_ok(fine(aster_history_read(ctx, test_dir, &back)) && back.n == 2 &&
               back.e[0].val_loss == 1.0 / 3 && back.e[1].val.auc == 1e-7 && back.e[0].best &&
               !back.e[1].best,
           "history.csv reads back to the bit");
    aster_history_free(&back);
    aster_history_free(&h);
    put_text("history.csv", "epoch,train_loss,val_loss,accuracy,precision,recall,f1,f1_macro,mcc,"
                            "auc,learning_rate,seconds,best\n2,1,1,1,1,1,1,1,1,1,1,1,1\n");
    failed_with("a history without its first epoch", aster_history_read(ctx, test_dir, &back),
                ASTER_EFORMAT, "history.csv:2", "expected 1", NULL);
}

/* Every tag that is opened is closed. */
static bool balanced(const char *s)
{
    int depth = 0;
    for (s = strchr(s, '<'); s && depth >= 0; s = strchr(s + 1, '<')) {
        const char *close = strchr(s, '>');
        if (!close)
            return false;
        depth += s[1] == '/' ? -1 : close[-1] == '/' ? 0 : 1;
    }
    return depth == 0;
}

/* The last place of word in text. */
static const char *last_place(const char *text, const char *word)
{
    const char *last = NULL;
    while ((text = strstr(text, word)))
        last = text++;
    return last;
}

static void plots(void)
{
    struct aster_str s = {0};
    const double x[] = {1, 2, 3, 4}, y[] = {0, NAN, INFINITY, 1}, flat[] = {3, 3, 3, 3};
    const struct aster_series series[] = {{"a<b & \"c\"", "#123456", 4, x, y},
                                          {"flat", "#654321", 4, x, flat}};
    const char *const names[] = {"one", "two"}, *const color = "#000";
    const int64_t counts[4] = {0, 0, 5, 1};
    /* 0.4 for 1 s and 0.2 for 3 s; 1 for 1 s and 0.8 for 3 s */
    const double times[] = {1, 4}, shares[] = {0.4, 1, 0.2, 0.8};
    struct aster_str page = {0};
    struct aster_box box = {0, 0, 300, 200};
    aster_svg_begin(&s, 300, 200);
    aster_svg_curves(&s, box, "t<", "x", "y", 2, series, 2);
    aster_svg_curves(&s, box, "one point", "x", "y", 1,
                     &(struct aster_series){"p", "#000", 1, x, flat}, NAN);
    aster_svg_curves(&s, box, "empty", "x", "y", 1, &(struct aster_series){"p", "#000", 0, x, flat},
                     7);
    aster_svg_bars(&s, box, "bars", "x", "y", 2, names, 1, &color, y, 0);
    aster_svg_matrix(&s, box, "matrix", "x", "y", names, counts);
    aster_svg_areas(&s, box, "areas", 2, names, 2, times, shares);
    aster_svg_areas(&s, box, "no areas", 0, names, 0, times, shares);
    aster_svg_blocks(&s, box, "blocks", 2, names, 4, 1, names, &color, 2, shares, 1);
    tap_ok(fine(aster_svg_finish(ctx, &s, test_dir, "odd.svg", &page)) &&
               file_is(in_dir("odd.svg"), aster_str_get(&s)) &&
               strstr(aster_str_get(&page), aster_str_get(&s)),
           "a picture goes to its file and to the page");
    const char *text = aster_str_get(&s);
    tap_ok(balanced(text), "plots of odd values are whole");
    tap_ok(strstr(text, ">25 %<") && strstr(text, ">85 %<"),
           "the mean of a worker weighs each share by its time");
    tap_ok(strstr(text, "class=\"mk\"") == last_place(text, "class=\"mk\""),
           "a mark outside of the curves is not drawn");
    tap_ok(!strstr(text, "nan") && !strstr(text, "inf"),
           "and have no coordinate that is no number");
    tap_ok(strstr(text, "a&lt;b &amp; &quot;c&quot;") && strstr(text, ">t&lt;<"),
           "names are escaped");
    aster_str_free(&s);
    aster_str_free(&page);
}

static void report(void)
{
    char path[PATH_MAX], *page = NULL, *text = NULL;
    int64_t n;
    snprintf(path, sizeof path, "%s", in_dir("yaml"));
    put_text("yaml/confusion_matrix.csv",
             "true,predicted_non_rcl,predicted_rcl\nnon_rcl,90,1\nrcl,2,7\n");
    put_text("yaml/error_counts.csv", "num_errors,num_proteins\n0,3\n12,1\n");
    put_text(
        "yaml/workers.csv",
        "seconds,worker,name,busy\n0.5,0,cpu 0,0.5\n0.5,1,cpu 1,1\n1.0,0,cpu 0,0\n1.0,1,cpu 1,2\n");
    put_text("yaml/failed_items.tsv", "key\tstage\treason\n<script>\tx\ty\n");
    tap_ok(fine(aster_run_report(ctx, path, &page)) &&
               fine(aster_file_read(ctx, page, 1 << 24, &text, &n)),
           "a report of what is in a folder");
    tap_ok(text && strstr(text, "a: &quot;b&quot; # c") && strstr(text, "&lt;script&gt;") &&
               !strstr(text, "<script"),
           "shows parameters and failures, escaped");
    tap_ok(text && strstr(text, "Wrong residues per protein") && strstr(text, "Busy share") &&
               !strstr(text, "src=") && !strstr(text, "href="),
           "and its plots, without anything from outside");
    aster_free(&text);
    aster_free(&page);
    failed_with("a report of a folder without a run", aster_run_report(ctx, test_dir, &page),
                ASTER_EIO, "run.yaml", NULL);
}

int main(void)
{
    test_start();
    aster_log_level(ctx, ASTER_LOG_WARN);
    folders();
    run_yaml();
    shards();
    ledger();
    history();
    plots();
    report();
    return test_end();
}
