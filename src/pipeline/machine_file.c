/* SPDX-License-Identifier: BSD-3-Clause */
/* Files that describe machines: one table of keys, each with its unit and range. */
#include "pipeline/machine_file.h"
#include "pipeline/internal.h"

#include <stddef.h>
#include <string.h>

enum { FILE_LIMIT = 1 << 20 };

struct numbers { /* as the file has them */
    double cores, cpu_gflops_f32, cpu_gflops_f64, cpu_efficiency, cpu_bandwidth, memory;
    double gpus, gpu_memory, gpu_tflops_f32, gpu_tflops_f64, gpu_efficiency, gpu_bandwidth,
        gpu_bandwidth_efficiency, launch;
    double host, pcie, pcie_latency, peer, peer_latency;
};
struct key {
    const char *section, *name;
    enum aster_opt_type type;
    bool required;
    double def, min, max;
    size_t at;
};
#define KEY(section, name, type, required, def, min, max, field)                                   \
    {                                                                                              \
        section, name, type, required, def, min, max, offsetof(struct numbers, field)              \
    }
static const struct key keys[] = {
    KEY("cpu", "cores", ASTER_OPT_INT, true, 0, 1, 4096, cores),
    KEY("cpu", "gflops_f32", ASTER_OPT_REAL, true, 0, 0.001, 1e6, cpu_gflops_f32),
    KEY("cpu", "gflops_f64", ASTER_OPT_REAL, true, 0, 0.001, 1e6, cpu_gflops_f64),
    KEY("cpu", "efficiency", ASTER_OPT_REAL, false, 1, 0.001, 1, cpu_efficiency),
    KEY("cpu", "bandwidth_gbs", ASTER_OPT_REAL, true, 0, 0.001, 1e6, cpu_bandwidth),
    KEY("cpu", "memory_gb", ASTER_OPT_REAL, true, 0, 0.1, 1e6, memory),
    KEY("gpu", "count", ASTER_OPT_INT, true, 0, 1, 64, gpus),
    KEY("gpu", "memory_gb", ASTER_OPT_REAL, true, 0, 0.1, 1e5, gpu_memory),
    KEY("gpu", "tflops_f32", ASTER_OPT_REAL, true, 0, 0.001, 1e6, gpu_tflops_f32),
    KEY("gpu", "tflops_f64", ASTER_OPT_REAL, true, 0, 0.001, 1e6, gpu_tflops_f64),
    KEY("gpu", "efficiency", ASTER_OPT_REAL, false, 1, 0.001, 1, gpu_efficiency),
    KEY("gpu", "bandwidth_gbs", ASTER_OPT_REAL, true, 0, 0.001, 1e6, gpu_bandwidth),
    KEY("gpu", "bandwidth_efficiency", ASTER_OPT_REAL, false, 1, 0.001, 1,
        gpu_bandwidth_efficiency),
    KEY("gpu", "launch_us", ASTER_OPT_REAL, true, 0, 0, 1e6, launch),
    KEY("links", "host_gbs", ASTER_OPT_REAL, true, 0, 0.001, 1e6, host),
    KEY("links", "pcie_gbs", ASTER_OPT_REAL, true, 0, 0.001, 1e6, pcie),
    KEY("links", "pcie_latency_us", ASTER_OPT_REAL, true, 0, 0, 1e6, pcie_latency),
    KEY("links", "peer_gbs", ASTER_OPT_REAL, false, 0, 0, 1e6, peer),
    KEY("links", "peer_latency_us", ASTER_OPT_REAL, false, 0, 0, 1e6, peer_latency),
};
enum { N_KEYS = sizeof keys / sizeof *keys };
static const char *const top[] = {"asterism", "machine", "description", "cpu", "gpu", "links"};
enum { N_TOP = sizeof top / sizeof *top };

/* ---- keys ---- */

static void unknown(struct aster_pipeline *p, const struct aster_node *c, const char *where,
                    const char *const *names, int n)
{
    char hint[128];
    for (int k = 0; k < n; k++)
        if (!strcmp(c->key, names[k]))
            return;
    aster_hint(c->key, names, n, hint, sizeof hint);
    aster_mistake_add(p, c->key_line, c->key_column, "unknown key '%.*s' in %s%s",
                      ASTER_CUT(60, c->key), where, hint);
}

static int read_number(struct aster_pipeline *p, const struct aster_node *node, const struct key *k,
                       double *out)
{
    struct aster_limits limits = {
        .type = k->type, .has_min = true, .has_max = true, .min = k->min, .max = k->max};
    struct aster_pieces pieces = {0};
    struct aster_opt_value v;
    if (node->kind == ASTER_NODE_BAD)
        return 0;
    if (node->kind != ASTER_NODE_SCALAR) {
        aster_mistake_add(p, node->line, node->column, "%s: expected a number, found %s", k->name,
                          aster_node_kind_name(node));
        return 0;
    }
    struct aster_piece piece = {node->text, node->quoted ? ASTER_FROM_QUOTED : ASTER_FROM_PLAIN,
                                node->line, node->column, NULL};
    ASTER_TRY(aster_pieces_add(p, &pieces, piece));
    int rc = aster_typed_value(p, k->name, &limits, &pieces, &v);
    if (rc == 1)
        *out = k->type == ASTER_OPT_INT ? (double)v.i : v.x;
    return rc < 0 ? rc : 0;
}

static int read_section(struct aster_pipeline *p, const struct aster_node *section,
                        const char *name, struct numbers *out)
{
    const char *names[N_KEYS + 1];
    int n = 0;
    if (section->kind != ASTER_NODE_MAP) {
        if (section->kind != ASTER_NODE_BAD)
            aster_mistake_add(p, section->line, section->column, "%s: expected a mapping, found %s",
                              name, aster_node_kind_name(section));
        return 0;
    }
    for (int k = 0; k < N_KEYS; k++) {
        if (strcmp(keys[k].section, name))
            continue;
        const struct aster_node *node = aster_node_get(section, keys[k].name);
        names[n++] = keys[k].name;
        if (node)
            ASTER_TRY(read_number(p, node, &keys[k], (double *)((char *)out + keys[k].at)));
        else if (keys[k].required)
            aster_mistake_add(p, section->key_line, section->key_column,
                              "%s: the key '%s' is missing", name, keys[k].name);
    }
    if (!strcmp(name, "gpu"))
        names[n++] = "name";
    for (const struct aster_node *c = section->first; c; c = c->next)
        unknown(p, c, name, names, n);
    return 0;
}

/* A text; "" with a mistake when it has to be there. */
static const char *text_of(struct aster_pipeline *p, const struct aster_node *map, const char *key,
                           bool required)
{
    const struct aster_node *v = aster_node_get(map, key);
    if (v && v->kind == ASTER_NODE_SCALAR && *v->text)
        return v->text;
    if (v && v->kind != ASTER_NODE_BAD)
        aster_mistake_add(p, v->line, v->column, "%s: expected a text, found %s", key,
                          aster_node_kind_name(v));
    else if (required && !v)
        aster_mistake_add(p, map->line, map->column, "the key '%s' is missing", key);
    return "";
}

/* The name becomes one of files. */
static void check_name(struct aster_pipeline *p, const struct aster_node *root, const char *name)
{
    static const char fine[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    if (strspn(name, fine) != strlen(name) || strlen(name) > 60) {
        const struct aster_node *v = aster_node_get(root, "machine");
        aster_mistake_add(p, v->line, v->column,
                          "machine: '%.*s' is no name; letters, digits, '-' and '_', 60 at most",
                          ASTER_CUT(60, name));
    }
}

static int read_root(struct aster_pipeline *p, const struct aster_node *root, struct numbers *out,
                     struct aster_sim_machine *m)
{
    const struct aster_node *version = aster_node_get(root, "asterism"),
                            *cpu = aster_node_get(root, "cpu"), *gpu = aster_node_get(root, "gpu"),
                            *links = aster_node_get(root, "links");
    for (const struct aster_node *c = root->first; c; c = c->next)
        unknown(p, c, "a machine file", top, N_TOP);
    if (!version || version->kind != ASTER_NODE_SCALAR || strcmp(version->text, "1"))
        aster_mistake_add(p, version ? version->line : root->line,
                          version ? version->column : root->column,
                          "asterism: expected 1, the version of the format");
    const char *name = text_of(p, root, "machine", true);
    check_name(p, root, name);
    snprintf(m->name, sizeof m->name, "%.*s", ASTER_CUT(63, name));
    if (cpu)
        ASTER_TRY(read_section(p, cpu, "cpu", out));
    else
        aster_mistake_add(p, root->line, root->column, "the key 'cpu' is missing");
    if (gpu) {
        ASTER_TRY(read_section(p, gpu, "gpu", out));
        snprintf(m->gpu_name, sizeof m->gpu_name, "%.*s",
                 ASTER_CUT(63, text_of(p, gpu, "name", true)));
    }
    if (links)
        ASTER_TRY(read_section(p, links, "links", out));
    else if (gpu)
        aster_mistake_add(p, gpu->key_line, gpu->key_column,
                          "a machine with GPUs needs the key 'links'");
    return 0;
}

/* ---- the machine ---- */

static void convert(const struct numbers *v, struct aster_sim_machine *m)
{
    m->cores = (int)v->cores;
    m->host_memory = 1e9 * v->memory;
    m->core = (struct aster_device_model){.flops_f32 = 1e9 * v->cpu_gflops_f32 * v->cpu_efficiency,
                                          .flops_f64 = 1e9 * v->cpu_gflops_f64 * v->cpu_efficiency,
                                          .bandwidth =
                                              v->cores > 0 ? 1e9 * v->cpu_bandwidth / v->cores : 0,
                                          .launch = 1e-6};
    m->n_gpus = (int)v->gpus;
    m->gpu = (struct aster_device_model){.flops_f32 = 1e12 * v->gpu_tflops_f32 * v->gpu_efficiency,
                                         .flops_f64 = 1e12 * v->gpu_tflops_f64 * v->gpu_efficiency,
                                         .bandwidth =
                                             1e9 * v->gpu_bandwidth * v->gpu_bandwidth_efficiency,
                                         .launch = 1e-6 * v->launch};
    m->gpu_memory = 1e9 * v->gpu_memory;
    m->host_bandwidth = 1e9 * v->host;
    m->pcie_bandwidth = 1e9 * v->pcie;
    m->pcie_latency = 1e-6 * v->pcie_latency;
    m->peer_bandwidth = 1e9 * v->peer;
    m->peer_latency = 1e-6 * v->peer_latency;
}

static int parse(struct aster_pipeline *p, struct numbers *v, struct aster_sim_machine *out)
{
    struct aster_node *root;
    ASTER_TRY(aster_yaml_parse(p, &root));
    if (!root || root->kind == ASTER_NODE_BAD)
        return 0;
    if (root->kind == ASTER_NODE_MAP)
        return read_root(p, root, v, out);
    aster_mistake_add(p, root->line, root->column,
                      "expected a mapping with the keys machine and cpu, found %s",
                      aster_node_kind_name(root));
    return 0;
}

int aster_machine_file_read(struct aster_ctx *ctx, const char *path, struct aster_sim_machine *out,
                            struct aster_str *mistakes)
{
    struct aster_pipeline p = {.ctx = ctx, .pool = {.ctx = ctx}, .file = path};
    struct numbers v = {0};
    char *text;
    int64_t n;
    *out = (struct aster_sim_machine){0};
    for (int k = 0; k < N_KEYS; k++)
        *(double *)((char *)&v + keys[k].at) = keys[k].def;
    ASTER_TRY(aster_file_read(ctx, path, FILE_LIMIT, &text, &n));
    p.text = text;
    p.n_text = (size_t)n;
    int rc = parse(&p, &v, out);
    aster_mistakes_sort(&p);
    for (int64_t k = 0; k < p.n_mistakes; k++)
        aster_str_printf(mistakes, "%s\n", p.mistakes[k].text);
    if (rc == 0)
        rc = p.failed;
    if (rc == 0 && p.n_mistakes)
        rc = aster_fail(ctx, ASTER_EPARAM, "%s: %lld mistake%s", path, (long long)p.n_mistakes,
                        p.n_mistakes > 1 ? "s" : "");
    convert(&v, out);
    for (int64_t k = 0; k < p.n_mistakes; k++)
        aster_free(&p.mistakes[k].text);
    aster_free(&p.mistakes);
    aster_pool_free(&p.pool);
    aster_free(&text);
    return rc;
}
