/* SPDX-License-Identifier: BSD-3-Clause */
/* What a pipeline file comes to: typed values, references, files found, the order of stages,
 * pictures. */
#include "pipeline_kinds.h"
#include "lib/tap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char text[] =
    "asterism: 1\n"
    "pipeline: t\n"
    "description: 'A <pipeline> & \"more\".'\n"
    "parameters:\n"
    "  i: {type: int, min: -5, max: 5000000000, default: 7, unit: items, help: An int.}\n"
    "  r: {type: real, default: 0.25, help: A real.}\n"
    "  b: {type: bool, default: true, help: A bool.}\n"
    "  c: {type: choice, choices: [fast, slow], default: slow, help: A choice.}\n"
    "  s: {type: str, default: 'a$$b', help: A text.}\n"
    "  is: {type: ints, default: [1, 2, 3], help: Ints.}\n"
    "  rs: {type: reals, default: [0.5, 1e3, 2], help: Reals.}\n"
    "  ss: {type: strs, default: [x, 'y,z', yes], help: Texts.}\n"
    "  none: {type: ints, default: [], help: No ints.}\n"
    "stages:\n"
    "  last: {stage: work, from: [first, second], extra: model, rate: $r, mode: $c, again: $b, "
    "sizes: $is, weights: $rs,\n"
    "    labels: $ss, title: '${i} of ${s} $$5 at ${rs}'}\n"
    "  plain: {stage: work, from: first, rate: 1, sizes: 4, weights: $is, labels: [a, $s, "
    "'p${i}'], title: $s, mode: ~}\n"
    "  first: {stage: source, file: '-', limit: +42}\n"
    "  second: {stage: work, from: first, rate: .5e-1, sizes: $none, weights: [-1, 2.5E+2], title: "
    "''}\n"
    "  model: {stage: build, name: $c, seed: 9007199254740991}\n";

static const struct aster_stage_spec *stage(const struct aster_run_spec *spec, const char *id)
{
    for (int i = 0; i < spec->n_stages; i++)
        if (!strcmp(spec->stages[i].id, id))
            return &spec->stages[i];
    return NULL;
}

static const struct aster_opt_value *value(const struct aster_run_spec *spec, const char *id,
                                           const char *key)
{
    const struct aster_stage_spec *s = stage(spec, id);
    for (int i = 0; s->kind->opts[i].key; i++)
        if (!strcmp(s->kind->opts[i].key, key))
            return &s->values[i];
    return NULL;
}

/* "a|b|c" */
static bool items_are(const struct aster_opt_value *v, const char *expected)
{
    char all[200] = "";
    for (int64_t i = 0; i < v->n; i++)
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i ? "|" : "", v->items[i]);
    return !strcmp(all, expected);
}

static bool numbers_are(const struct aster_opt_value *v, int64_t n, const double *expected)
{
    bool same = v->n == n;
    for (int64_t i = 0; same && i < n; i++)
        same = v->numbers[i] == expected[i];
    return same;
}

static void show_mistakes(const struct aster_pipeline *p)
{
    for (int64_t i = 0; i < aster_pipeline_n_mistakes(p); i++)
        tap_note("%s", aster_pipeline_mistake(p, i));
}

static struct aster_pipeline *parsed(struct aster_ctx *ctx, const char *file, const char *yaml)
{
    struct aster_pipeline *p = NULL;
    int rc = aster_pipeline_parse(ctx, test_kinds_all(), file, yaml, strlen(yaml), &p);
    tap_ok(rc == 0 && aster_pipeline_n_mistakes(p) == 0, "%s is read without mistakes", file);
    show_mistakes(p);
    return p;
}

static const struct aster_run_spec *resolved(struct aster_pipeline *p)
{
    const struct aster_run_spec *spec = NULL;
    int rc = aster_pipeline_resolve(p, true, &spec);
    tap_ok(rc == 0 && spec, "it resolves");
    show_mistakes(p);
    return spec;
}

static void defaults(const struct aster_run_spec *spec)
{
    tap_ok(value(spec, "last", "rate")->x == 0.25 && value(spec, "last", "rate")->is_set,
           "a real from a parameter");
    tap_ok(!strcmp(value(spec, "last", "mode")->text, "slow"), "a choice from a parameter");
    tap_ok(value(spec, "last", "again")->b, "a bool from a parameter");
    tap_ok(numbers_are(value(spec, "last", "sizes"), 3, (double[]){1, 2, 3}),
           "ints from a parameter");
    tap_ok(items_are(value(spec, "last", "sizes"), "1|2|3"), "ints as texts");
    tap_ok(numbers_are(value(spec, "last", "weights"), 3, (double[]){0.5, 1000, 2}),
           "reals from a parameter");
    tap_ok(items_are(value(spec, "last", "labels"), "x|y,z|yes"),
           "texts from a parameter keep their commas");
    tap_ok(!strcmp(value(spec, "last", "title")->text, "7 of a$b $5 at 0.5,1e3,2"),
           "texts are put together: '%s'", value(spec, "last", "title")->text);
    tap_ok(items_are(value(spec, "last", "from"), "first|second"), "stages in the order written");
    tap_ok(!strcmp(value(spec, "last", "extra")->text, "model"), "one stage");
    tap_ok(value(spec, "plain", "rate")->x == 1, "an int where a real is taken");
    tap_ok(numbers_are(value(spec, "plain", "sizes"), 1, (double[]){4}), "one value for a list");
    tap_ok(numbers_are(value(spec, "plain", "weights"), 3, (double[]){1, 2, 3}), "ints for reals");
    tap_ok(items_are(value(spec, "plain", "labels"), "a|a$b|p7"), "references inside a list");
    tap_ok(!strcmp(value(spec, "plain", "title")->text, "a$b"), "a text from a parameter");
    tap_ok(!strcmp(value(spec, "plain", "mode")->text, "fast") &&
               value(spec, "plain", "mode")->line == 0,
           "null is unset: the default");
    tap_ok(items_are(value(spec, "plain", "from"), "first"), "one stage for a list of stages");
    tap_ok(!value(spec, "plain", "extra")->is_set && !*value(spec, "plain", "extra")->text,
           "no stage where none is needed");
    tap_ok(value(spec, "first", "limit")->i == 42 &&
               !strcmp(value(spec, "first", "file")->text, "-"),
           "a literal int; stdin");
    tap_ok(value(spec, "first", "limit")->line == 18 && value(spec, "first", "limit")->column == 44,
           "the place of a value: %d:%d", value(spec, "first", "limit")->line,
           value(spec, "first", "limit")->column);
    tap_ok(value(spec, "second", "rate")->x == 0.05, "a real with point and exponent");
    tap_ok(value(spec, "second", "sizes")->is_set && value(spec, "second", "sizes")->n == 0,
           "an empty list is set and empty");
    tap_ok(numbers_are(value(spec, "second", "weights"), 2, (double[]){-1, 250}), "literal reals");
    tap_ok(!value(spec, "second", "title")->is_set, "an empty text is unset");
    tap_ok(items_are(value(spec, "second", "labels"), "a|b") &&
               value(spec, "second", "labels")->is_set,
           "the default of a list");
    tap_ok(!value(spec, "second", "weights")->b && !value(spec, "second", "files")->is_set,
           "an option with an empty default is unset");
    tap_ok(value(spec, "model", "seed")->i == 9007199254740991, "a large int");
}

static void order(const struct aster_run_spec *spec)
{
    bool good = spec->n_stages == 5;
    for (int i = 0; i < spec->n_stages; i++)
        for (int k = 0; spec->stages[i].kind->opts[k].key; k++) {
            enum aster_opt_type t = spec->stages[i].kind->opts[k].type;
            const struct aster_opt_value *v = &spec->stages[i].values[k];
            for (int64_t n = 0; t == ASTER_OPT_STAGES && n < v->n; n++)
                good &= stage(spec, v->items[n]) < &spec->stages[i];
            if (t == ASTER_OPT_STAGE && v->is_set)
                good &= stage(spec, v->text) < &spec->stages[i];
        }
    tap_ok(good, "every stage stands behind all that it reads");
    tap_ok(!strcmp(spec->name, "t") && !strcmp(spec->text, text) && spec->n_params == 9,
           "name, text and parameters are in the specification");
    tap_ok(!strcmp(spec->params[3].name, "c") && !strcmp(spec->params[3].value, "slow") &&
               !spec->params[3].given,
           "a parameter left at its default");
}

static int set(struct aster_pipeline *p, const char *name, const char *v)
{
    return aster_pipeline_set(p, name, v);
}

static void arguments(struct aster_pipeline *p)
{
    int rc = set(p, "i", "5000000000");
    rc |= set(p, "r", "1e-3") | set(p, "b", "false") | set(p, "c", "fast") |
          set(p, "s", "$i ${i} $$");
    rc |= set(p, "is", "9, 8") | set(p, "rs", "") | set(p, "ss", "one,two") | set(p, "i", "-5");
    const struct aster_run_spec *spec = resolved(p);
    tap_ok(rc == 0 && spec->params[0].given && !strcmp(spec->params[0].value, "-5"),
           "the second value of a name counts");
    tap_ok(value(spec, "last", "rate")->x == 1e-3 && !value(spec, "last", "again")->b,
           "real and bool from arguments");
    tap_ok(!strcmp(value(spec, "plain", "title")->text, "$i ${i} $$"),
           "an argument is taken as it stands, dollars too");
    tap_ok(numbers_are(value(spec, "last", "sizes"), 2, (double[]){9, 8}),
           "a list with commas and blanks");
    tap_ok(value(spec, "last", "weights")->is_set && value(spec, "last", "weights")->n == 0,
           "an empty argument is an empty list");
    tap_ok(items_are(value(spec, "last", "labels"), "one|two"), "texts from an argument");
    tap_ok(!strcmp(spec->params[7].value, "one,two"), "a list in the record of parameters");
}

static void ranges(struct aster_pipeline *p)
{
    static const char *const expected[] = {
        "-5..5000000000 items", "", "", "one of fast, slow", "", "", "", "", ""};
    bool good = aster_pipeline_n_parameters(p) == 9;
    for (int i = 0; good && i < 9; i++) {
        struct aster_str range = {0};
        aster_parameter_range(aster_pipeline_parameter(p, i), &range);
        good = !strcmp(aster_str_get(&range), expected[i]);
        aster_str_free(&range);
    }
    tap_ok(good, "ranges and units as text");
    tap_ok(!strcmp(aster_pipeline_parameter(p, 6)->def, "0.5,1e3,2") &&
               !strcmp(aster_pipeline_parameter(p, 4)->def, "a$b"),
           "defaults as text");
}

static bool has(const struct aster_str *s, const char *part)
{
    return strstr(aster_str_get(s), part) != NULL;
}

static void pictures(const struct aster_pipeline *p)
{
    struct aster_str dot = {0}, svg = {0};
    int rc = aster_pipeline_dot(p, &dot);
    tap_ok(rc == 0 && has(&dot, "digraph \"t\" {") &&
               has(&dot, "\"first\" -> \"second\" [label=\"from\"];") &&
               has(&dot, "\"model\" -> \"last\" [label=\"extra\"];") &&
               has(&dot, "label=\"A <pipeline> & \\\"more\\\".\""),
           "DOT has every link");
    rc = aster_pipeline_svg(p, &svg);
    tap_ok(rc == 0 && !strncmp(svg.s, "<svg ", 5) &&
               has(&svg, "A &lt;pipeline&gt; &amp; &quot;more&quot;.") &&
               has(&svg, "<title>second reads first as from</title>") && !has(&svg, "nan") &&
               !has(&svg, "inf"),
           "SVG has every link");
    aster_str_free(&dot);
    aster_str_free(&svg);
}

/* Boxes of an SVG: none may overlap another. */
static void boxes_are_apart(const struct aster_pipeline *p)
{
    struct aster_str svg = {0};
    double box[64][4];
    int n = 0;
    bool apart = true;
    int rc = aster_pipeline_svg(p, &svg);
    for (const char *s = aster_str_get(&svg); (s = strstr(s, "<rect class=")) && n < 64; s++)
        n += sscanf(s, "<rect class=\"%*c\" x=\"%lf\" y=\"%lf\" width=\"%lf\" height=\"%lf\"",
                    &box[n][0], &box[n][1], &box[n][2], &box[n][3]) == 4;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < i; k++)
            apart &= box[i][0] >= box[k][0] + box[k][2] || box[k][0] >= box[i][0] + box[i][2] ||
                     box[i][1] >= box[k][1] + box[k][3] || box[k][1] >= box[i][1] + box[i][3];
    tap_ok(rc == 0 && n == 5 && apart, "the boxes of five stages stand apart (%d)", n);
    aster_str_free(&svg);
}

/* ---- files ---- */

static const char file_text[] =
    "asterism: 1\n"
    "pipeline: f\n"
    "parameters:\n"
    "  near: {type: file, default: data/near.txt, help: Beside the pipeline.}\n"
    "  here: {type: file, default: here.txt, help: In both folders.}\n"
    "  many: {type: files, default: [here.txt, data/near.txt], help: Several.}\n"
    "  ending: {type: str, default: txt, help: Part of a name.}\n"
    "stages:\n"
    "  a: {stage: source, file: $near, second: $here}\n"
    "  b: {stage: source, file: 'data/near.${ending}', second: data/near.txt}\n"
    "  w: {stage: work, from: [a, b], files: $many}\n";

static int write_file(struct aster_ctx *ctx, const char *path)
{
    return aster_file_write(ctx, path, "x", 1);
}

static void files(struct aster_ctx *ctx)
{
    char folder[] = "pipeline-files-XX"
                    "XX"
                    "XX",
         home[4096];
    struct aster_pipeline *p;
    if (!getcwd(home, sizeof home) || !mkdtemp(folder) || chdir(folder)) {
        tap_ok(false, "a folder to work in");
        return;
    }
    int rc = aster_mkdirs(ctx, "lib/data");
    rc |= aster_mkdirs(ctx, "work") | write_file(ctx, "lib/data/near.txt") |
          write_file(ctx, "lib/here.txt");
    rc |= write_file(ctx, "work/here.txt") | write_file(ctx, "work/given.txt");
    tap_ok(rc == 0 && chdir("work") == 0, "files to find: %s", aster_ctx_message(ctx));
    p = parsed(ctx, "../lib/f.yaml", file_text);
    const struct aster_run_spec *spec = resolved(p);
    if (spec) {
        tap_ok(!strcmp(value(spec, "a", "file")->text, "../lib/data/near.txt"),
               "a default beside the pipeline file: %s", value(spec, "a", "file")->text);
        tap_ok(!strcmp(value(spec, "a", "second")->text, "here.txt"),
               "the working directory comes first");
        tap_ok(!strcmp(value(spec, "b", "file")->text, "../lib/data/near.txt"),
               "a file whose name is put together");
        tap_ok(!strcmp(value(spec, "b", "second")->text, "../lib/data/near.txt"),
               "a file named in a stage is looked for too");
        tap_ok(items_are(value(spec, "w", "files"), "here.txt|../lib/data/near.txt"),
               "a list of files");
        tap_ok(!strcmp(spec->params[0].value, "../lib/data/near.txt"),
               "the path found is in the record");
    }
    rc = set(p, "near", "given.txt");
    spec = resolved(p);
    tap_ok(rc == 0 && spec && !strcmp(value(spec, "a", "file")->text, "given.txt"),
           "an argument is relative to the working directory");
    rc = set(p, "near", "data/near.txt");
    rc |= aster_pipeline_resolve(p, true, &spec);
    tap_ok(rc == 0 && !spec && strstr(aster_pipeline_mistake(p, 0), "cannot read 'data/near.txt'"),
           "an argument is not looked for elsewhere");
    rc = aster_pipeline_resolve(p, false, &spec);
    tap_ok(rc == 0 && spec, "without inputs, files need not be there");
    aster_pipeline_free(&p);
    if (chdir("..") || unlink("lib/data/near.txt") || unlink("lib/here.txt") ||
        unlink("work/here.txt") || unlink("work/given.txt") || rmdir("lib/data") || rmdir("lib") ||
        rmdir("work") || chdir(home) || rmdir(folder))
        tap_note("%s stays behind", folder);
}

static void unknown_pipeline(struct aster_ctx *ctx)
{
    char *path = NULL;
    int rc = aster_find_pipeline(ctx, "no-such-pipeline", &path);
    tap_ok(rc == ASTER_EIO && !path &&
               strstr(aster_ctx_message(ctx), "no pipeline 'no-such-pipeline'") &&
               strstr(aster_ctx_message(ctx), "pipelines/no-such-pipeline.yaml"),
           "a pipeline that is nowhere: %s", aster_ctx_message(ctx));
    aster_ctx_clear(ctx);
    rc = aster_find_pipeline(ctx, "no/such", &path);
    tap_ok(rc == ASTER_EIO && strstr(aster_ctx_message(ctx), "looked for no/such"),
           "a path is not searched for: %s", aster_ctx_message(ctx));
    aster_ctx_clear(ctx);
}

int main(void)
{
    struct aster_ctx *ctx;
    if (aster_ctx_new(&ctx) < 0)
        return 1;
    struct aster_pipeline *p = parsed(ctx, "t.yaml", text);
    const struct aster_run_spec *spec = resolved(p);
    if (spec) {
        defaults(spec);
        order(spec);
        arguments(p);
    }
    ranges(p);
    pictures(p);
    boxes_are_apart(p);
    aster_pipeline_free(&p);
    files(ctx);
    unknown_pipeline(ctx);
    aster_ctx_free(&ctx);
    tap_ok(aster_live_allocations() == 0, "nothing left allocated (%lld)",
           (long long)aster_live_allocations());
    return tap_done();
}
