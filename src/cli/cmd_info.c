/* SPDX-License-Identifier: BSD-3-Clause */
/* asterism info: versions, limits, devices, ops and their backends, kinds of stage. */
#include "config.h"

#include "cli/cli.h"
#include "flow/flow.h"
#include "io/io.h"
#include "pipeline/pipeline.h"
#include "runtime/gpus.h"
#include "runtime/runtime.h"

#include <link.h>
#include <stdlib.h>
#include <string.h>

#if ASTER_HAVE_CUDA
static const char cuda_kernels[] = "built";
#else
static const char cuda_kernels[] = "not built";
#endif

static const struct aster_cli_option options[] = {
    {"stages", 0, NULL, "List every kind of stage with its options instead."},
    {"pipelines", 0, NULL, "List the pipelines that can be run by name instead."},
    {"json", 0, NULL, "Print JSON."},
    ASTER_CLI_HELP_OPTION,
    ASTER_CLI_END};

/* ---- output: the same facts as lines or as JSON ---- */

struct sheet {
    bool json;
    struct aster_str text;
    int depth;
    bool is_first; /* of its object or list */
};

static void begin(struct sheet *s, const char *key)
{
    if (!s->json)
        return;
    aster_str_printf(&s->text, "%s%*s", s->is_first ? "\n" : ",\n", 2 * s->depth, "");
    s->is_first = false;
    if (key) {
        aster_json_quote(&s->text, key);
        aster_str_add(&s->text, ": ");
    }
}

static void open_in(struct sheet *s, const char *key, const char *bracket)
{
    if (s->depth)
        begin(s, key);
    if (s->json)
        aster_str_add(&s->text, bracket);
    s->depth++;
    s->is_first = true;
}

static void close_in(struct sheet *s, const char *bracket)
{
    s->depth--;
    if (s->json)
        aster_str_printf(&s->text, "\n%*s%s", 2 * s->depth, "", bracket);
    s->is_first = false;
}

/* "  starpu max cpus  4" */
static void line(struct sheet *s, const char *key, const char *value)
{
    aster_str_add(&s->text, "  ");
    for (const char *c = key; *c; c++)
        aster_str_addn(&s->text, *c == '_' ? " " : c, 1);
    aster_str_printf(&s->text, "%*s%s\n", (int)aster_max64(1, 20 - (int64_t)strlen(key)), "",
                     value);
}

static void fact(struct sheet *s, const char *key, const char *value)
{
    begin(s, key);
    if (s->json)
        aster_json_quote(&s->text, value);
    else
        line(s, key, value);
}

static void fact_int(struct sheet *s, const char *key, int64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)value);
    begin(s, key);
    if (s->json)
        aster_str_add(&s->text, text);
    else
        line(s, key, text);
}

/* ---- versions ---- */

static void versions(struct sheet *s)
{
    if (s->json)
        fact(s, "version", aster_version());
    else
        aster_str_printf(&s->text, "asterism %s\n", aster_version());
    fact(s, "compiler", "gcc " __VERSION__);
    fact(s, "flags", ASTER_BUILT_FLAGS);
    fact(s, "starpu", ASTER_BUILT_STARPU);
    fact_int(s, "starpu_max_buffers", ASTER_STARPU_BUFFERS);
    fact_int(s, "starpu_max_cpus", ASTER_STARPU_CPUS);
    fact_int(s, "starpu_max_gpus", ASTER_STARPU_GPUS);
    fact(s, "hwloc", ASTER_BUILT_HWLOC);
    fact(s, "hdf5", ASTER_BUILT_HDF5);
    fact(s, "libyaml", ASTER_BUILT_YAML);
    fact(s, "zlib", ASTER_BUILT_ZLIB);
    fact(s, "openblas", ASTER_BUILT_BLAS);
    fact(s, "onednn", ASTER_BUILT_DNNL);
    fact(s, "cuda", ASTER_BUILT_CUDA);
    char *data = NULL;
    if (aster_find_data(NULL, &data) == 0)
        fact(s, "data", data);
    aster_free(&data);
}

void aster_cli_versions(void)
{
    struct sheet s = {.is_first = true};
    versions(&s);
    fputs(aster_str_get(&s.text), stdout);
    aster_str_free(&s.text);
}

/* ---- the machine ---- */

static void instruction_sets(struct sheet *s, enum aster_isa chosen)
{
    struct aster_str all = {0};
    for (int i = 0; i < ASTER_N_ISAS; i++)
        if (aster_isa_here((enum aster_isa)i))
            aster_str_printf(&all, "%s%s", all.len ? ", " : "", aster_isa_name((enum aster_isa)i));
    fact(s, "isa", aster_isa_name(chosen));
    fact(s, "isa_available", aster_str_get(&all));
    aster_str_free(&all);
}

/* Adds a loaded library that is CUDA's. */
static int cuda_library(struct dl_phdr_info *info, size_t size, void *to)
{
    static const char *const names[] = {"libcudart.",   "libcublas.",   "libcublasLt.", "libcudnn.",
                                        "libcusparse.", "libcusolver.", "libcuda."};
    struct aster_str *all = to;
    const char *name = strrchr(info->dlpi_name, '/');
    (void)size;
    for (size_t k = 0; name && k < sizeof names / sizeof *names; k++)
        if (!strncmp(name + 1, names[k], strlen(names[k])))
            aster_str_printf(all, "%s%s", all->len ? ", " : "", info->dlpi_name);
    return 0;
}

/* The start of a bundle names in ASTERISM_CUDA_MISSING what it has not found. */
static void cuda_libraries(struct sheet *s)
{
    const char *missing = getenv("ASTERISM_CUDA_MISSING");
    struct aster_str all = {0};
    if (missing && *missing)
        aster_str_printf(
            &all, "missing: %s (name their folders in ASTERISM_CUDA_LIBRARIES); no GPU is used",
            missing);
    else
        dl_iterate_phdr(cuda_library, &all);
    if (all.len)
        fact(s, "cuda_libraries", all.s);
    aster_str_free(&all);
}

/* "0: NVIDIA H200, 139.8 GiB", or why there is none */
static void gpus(struct sheet *s)
{
    struct aster_gpus g;
    struct aster_str all = {0};
    char memory[32];
    aster_gpus_look(&g);
    if (*g.driver)
        fact(s, "cuda_driver", g.driver);
    for (int i = 0; i < g.n && i < ASTER_MAX_GPUS; i++) {
        aster_cli_bytes(g.gpu[i].memory, memory);
        aster_str_printf(&all, "%s%d: %s, %s", i ? "; " : "", i, g.gpu[i].name, memory);
    }
    if (!g.n)
        aster_str_printf(&all, "none: %s", g.why);
    fact(s, "gpus", aster_str_get(&all));
    aster_str_free(&all);
}

static void workers(struct sheet *s, struct aster_runtime *rt)
{
    struct aster_str names = {0};
    char memory[32];
    int n = aster_runtime_n_workers(rt);
    for (int i = 0; i < n; i++) {
        struct aster_worker_info w;
        aster_runtime_sample(rt, i, &w);
        aster_str_printf(&names, "%s%s", i ? ", " : "", w.name);
    }
    aster_cli_bytes(aster_runtime_memory_limit(rt), memory);
    fact_int(s, "n_workers", n);
    fact(s, "workers", aster_str_get(&names));
    fact(s, "scheduler", aster_runtime_scheduler(rt));
    fact(s, "starpu_running", aster_runtime_starpu_version(rt));
    if (s->json)
        fact_int(s, "memory_limit", aster_runtime_memory_limit(rt));
    else
        fact(s, "memory_limit", memory);
    aster_str_free(&names);
}

static int machine(struct sheet *s)
{
    struct aster_runtime_options o = {.cpus = -1, .isa = "auto"};
    struct aster_runtime *rt = NULL;
    struct aster_ctx *ctx;
    ASTER_TRY(aster_ctx_new(&ctx));
    aster_log_level(ctx, ASTER_LOG_WARN);
    cuda_libraries(s);
    gpus(s);
    int rc = aster_runtime_new(ctx, &o, &rt);
    if (rc == 0) {
        instruction_sets(s, aster_runtime_isa(rt));
        workers(s, rt);
    } else {
        instruction_sets(s, aster_isa_best());
        fact(s, "workers", "none started");
        aster_cli_error("%s", aster_ctx_message(ctx));
    }
    aster_runtime_free(&rt);
    aster_ctx_free(&ctx);
    return rc;
}

static void ops(struct sheet *s)
{
    enum aster_isa isa = aster_isa_best();
    const struct aster_backend *cpu = aster_backend_cpu(isa);
    if (!s->json)
        aster_str_printf(&s->text, "\nops:\n");
    open_in(s, "ops", "[");
    for (int i = 0; i < ASTER_N_OPS; i++) {
        const char *name = aster_op_name((enum aster_op_kind)i),
                   *family = aster_op_family((enum aster_op_kind)i);
        const char *here = cpu->op[i] ? aster_isa_name(isa) : "none";
        if (!s->json) {
            aster_str_printf(&s->text, "  %-19s %-10s cpu: %s; cuda: %s\n", name, family, here,
                             cuda_kernels);
            continue;
        }
        open_in(s, NULL, "{");
        fact(s, "op", name);
        fact(s, "family", family);
        fact(s, "cpu", here);
        fact(s, "cuda", cuda_kernels);
        close_in(s, "}");
    }
    close_in(s, "]");
}

/* ---- kinds of stage ---- */

/* "(int, 1..9 items, default 3)" */
static void stage_option(struct sheet *s, const struct aster_opt *o)
{
    struct aster_str range = {0};
    aster_opt_range(o, &range);
    if (s->json) {
        open_in(s, NULL, "{");
        fact(s, "option", o->key);
        fact(s, "type", aster_opt_type_name(o->type));
        fact(s, "range", aster_str_get(&range));
        if (o->def)
            fact(s, "default", o->def);
        fact(s, "help", o->help);
        close_in(s, "}");
    } else {
        aster_str_printf(&s->text, "    %s (%s%s%s, %s%s)\n", o->key, aster_opt_type_name(o->type),
                         range.len ? ", " : "", aster_str_get(&range),
                         !o->def   ? "required"
                         : *o->def ? "default "
                                   : "may be left out",
                         o->def ? o->def : "");
        aster_str_printf(&s->text, "        %s\n", o->help);
    }
    aster_str_free(&range);
}

static void stages(struct sheet *s)
{
    open_in(s, "stages", "[");
    for (int i = 0; i < aster_stage_n_kinds(); i++) {
        const struct aster_stage_kind *k = aster_stage_kind(i);
        open_in(s, NULL, "{");
        if (s->json) {
            fact(s, "stage", k->name);
            fact(s, "gives", k->output);
            fact(s, "help", k->help);
        } else {
            aster_str_printf(&s->text, "%s%s (gives %s)\n  %s\n", i ? "\n" : "", k->name, k->output,
                             k->help);
        }
        open_in(s, "options", "[");
        for (const struct aster_opt *o = k->opts; o->key; o++)
            stage_option(s, o);
        close_in(s, "]");
        close_in(s, "}");
    }
    close_in(s, "]");
}

/* ---- pipelines ---- */

static int pipeline(struct aster_ctx *ctx, struct sheet *s, const char *name)
{
    const struct aster_kinds kinds = {aster_stage_n_kinds(), aster_stage_kind};
    struct aster_pipeline *p = NULL;
    char *path = NULL;
    int rc = aster_find_pipeline(ctx, name, &path);
    if (rc == 0)
        rc = aster_pipeline_open(ctx, kinds, path, &p);
    if (rc == 0) {
        bool good = aster_pipeline_n_errors(p) == 0;
        const char *text = good ? aster_pipeline_description(p) : aster_pipeline_mistake(p, 0);
        open_in(s, NULL, "{");
        if (s->json) {
            fact(s, "pipeline", name);
            fact(s, "file", path);
            fact(s, good ? "description" : "mistake", text);
        } else {
            aster_str_printf(&s->text, "  %-20s %s\n", name, text);
        }
        close_in(s, "}");
    }
    aster_pipeline_free(&p);
    aster_free(&path);
    return rc;
}

static int pipelines(struct sheet *s)
{
    struct aster_ctx *ctx;
    char **names = NULL;
    int n = 0;
    ASTER_TRY(aster_ctx_new(&ctx));
    aster_log_level(ctx, ASTER_LOG_WARN);
    int rc = aster_list_pipelines(ctx, &n, &names);
    open_in(s, "pipelines", "[");
    for (int i = 0; i < n; i++) {
        if (rc == 0)
            rc = pipeline(ctx, s, names[i]);
        aster_free(&names[i]);
    }
    close_in(s, "]");
    aster_free(&names);
    if (rc < 0)
        aster_cli_error("%s", aster_ctx_message(ctx));
    aster_ctx_free(&ctx);
    return rc;
}

static int info(const struct aster_cli_args *args)
{
    struct sheet s = {.json = aster_cli_has(args, "json")};
    int rc = 0;
    if (aster_cli_has(args, "help")) {
        aster_cli_help(args->command);
        return ASTER_EXIT_DONE;
    }
    if (args->n_words)
        return aster_cli_misuse(args->command, "info: takes no '%s'", args->words[0]);
    open_in(&s, NULL, "{");
    if (aster_cli_has(args, "stages")) {
        stages(&s);
    } else if (aster_cli_has(args, "pipelines")) {
        rc = pipelines(&s);
    } else {
        versions(&s);
        rc = machine(&s);
        ops(&s);
    }
    close_in(&s, "}\n");
    fputs(aster_str_get(&s.text), stdout);
    aster_str_free(&s.text);
    return rc < 0 ? ASTER_EXIT_BROKEN : ASTER_EXIT_DONE;
}

const struct aster_cli_command aster_cmd_info = {
    "info", "[options]",
    "Prints versions and limits, the devices and workers a run would use, and each op with its "
    "backends; with --stages what "
    "a pipeline file can hold, with --pipelines those that can be run by name.",
    options, info};
