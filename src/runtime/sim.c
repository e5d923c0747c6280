/* SPDX-License-Identifier: BSD-3-Clause */
/* The files from which a simulating StarPU reads a machine: SimGrid's platform, tables of bandwidth
 * and latency. */
#include "runtime/sim.h"

#include <math.h>

#define ANY_SPEED "2000000000f" /* durations come from our models, but SimGrid wants a speed */

double aster_sim_bandwidth(const struct aster_sim_machine *m, int from, int to)
{
    if (from == 0 || to == 0)
        return m->pcie_bandwidth;
    return m->peer_bandwidth > 0 ? m->peer_bandwidth : m->pcie_bandwidth;
}

double aster_sim_latency(const struct aster_sim_machine *m, int from, int to)
{
    if (from == 0 || to == 0)
        return m->pcie_latency;
    return m->peer_bandwidth > 0 ? m->peer_latency : 2 * m->pcie_latency;
}

/* ---- the platform ---- */

static void hosts(struct aster_str *s, const struct aster_sim_machine *m, int n_gpus)
{
    aster_str_add(s, "  <host id=\"MAIN\" speed=\"1f\"/>\n  <host id=\"RAM\" speed=\"1f\"/>\n");
    for (int k = 0; k < m->cores; k++)
        aster_str_printf(s, "  <host id=\"CPU%d\" speed=\"" ANY_SPEED "\"/>\n", k);
    for (int k = 0; k < n_gpus; k++) {
        aster_str_printf(s,
                         "  <host id=\"CUDA%d\" speed=\"" ANY_SPEED
                         "\">\n   <prop id=\"model\" value=\"gpu\"/>\n",
                         k);
        aster_str_printf(s,
                         "   <prop id=\"memsize\" value=\"%.0f\"/>\n   <prop id=\"memcpy_peer\" "
                         "value=\"1\"/>\n  </host>\n",
                         m->gpu_memory);
    }
}

static void link_of(struct aster_str *s, const char *way, int gpu, double bandwidth, double latency)
{
    aster_str_printf(s, "  <link id=\"%s%d\" bandwidth=\"%.0fBps\" latency=\"%.9fs\"/>\n", way, gpu,
                     bandwidth, latency);
}

static void links(struct aster_str *s, const struct aster_sim_machine *m, int n_gpus)
{
    if (n_gpus)
        aster_str_printf(s, "  <link id=\"Host\" bandwidth=\"%.0fBps\" latency=\"0s\"/>\n",
                         m->host_bandwidth);
    for (int k = 0; k < n_gpus; k++) {
        link_of(s, "down", k, m->pcie_bandwidth, m->pcie_latency);
        link_of(s, "up", k, m->pcie_bandwidth, m->pcie_latency);
        if (m->peer_bandwidth > 0) { /* half of the latency each way through the switch */
            link_of(s, "out", k, m->peer_bandwidth, m->peer_latency / 2);
            link_of(s, "in", k, m->peer_bandwidth, m->peer_latency / 2);
        }
    }
}

static void route(struct aster_str *s, const char *from, int f, const char *to, int t,
                  const char *first, int a, const char *second, int b)
{
    aster_str_printf(s, "  <route src=\"%s", from);
    if (f >= 0)
        aster_str_printf(s, "%d", f);
    aster_str_printf(s, "\" dst=\"%s", to);
    if (t >= 0)
        aster_str_printf(s, "%d", t);
    aster_str_printf(s, "\" symmetrical=\"NO\"><link_ctn id=\"%s%d\"/><link_ctn id=\"%s", first, a,
                     second);
    if (b >= 0)
        aster_str_printf(s, "%d", b);
    aster_str_add(s, "\"/>");
    if (f >= 0 && t >= 0 && b >= 0 &&
        *first == 'u') /* between GPUs without a switch: through the host */
        aster_str_add(s, "<link_ctn id=\"Host\"/>");
    aster_str_add(s, "</route>\n");
}

static void routes(struct aster_str *s, const struct aster_sim_machine *m, int n_gpus)
{
    bool peer = m->peer_bandwidth > 0;
    for (int i = 0; i < n_gpus; i++) {
        route(s, "RAM", -1, "CUDA", i, "down", i, "Host", -1);
        route(s, "CUDA", i, "RAM", -1, "up", i, "Host", -1);
        for (int j = 0; j < n_gpus; j++)
            if (j != i)
                route(s, "CUDA", i, "CUDA", j, peer ? "out" : "up", i, peer ? "in" : "down", j);
    }
}

static void platform(struct aster_str *s, const struct aster_sim_machine *m, int n_gpus)
{
    static const char *const settings[][2] = {{"network/TCP-gamma", "-1"},
                                              {"network/latency-factor", "1"},
                                              {"network/bandwidth-factor", "1"},
                                              {"network/weight-S", "0.0"},
                                              {"network/crosstraffic", "0"}};
    aster_str_add(
        s, "<?xml version='1.0'?>\n<!DOCTYPE platform SYSTEM \"https://simgrid.org/simgrid.dtd\">\n"
           "<platform version=\"4.1\">\n <config>\n");
    for (size_t k = 0; k < sizeof settings / sizeof *settings; k++)
        aster_str_printf(s, "  <prop id=\"%s\" value=\"%s\"/>\n", settings[k][0], settings[k][1]);
    aster_str_add(s, " </config>\n <zone id=\"machine\" routing=\"Full\">\n");
    hosts(s, m, n_gpus);
    links(s, m, n_gpus);
    routes(s, m, n_gpus);
    aster_str_add(s, " </zone>\n</platform>\n");
}

/* ---- the tables ---- */

/* Square, a tab after every number; the reader drops the last row and column, so there is one more.
 */
static void table(struct aster_str *s, const struct aster_sim_machine *m, int n_gpus,
                  const char *what, double (*value)(const struct aster_sim_machine *, int, int),
                  double unit)
{
    int n = n_gpus + 2;
    aster_str_printf(s, "# %s, from row to column; 0 is the memory of the host\n", what);
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++)
            if (i > n_gpus || j > n_gpus)
                aster_str_add(s, "nan\t");
            else
                aster_str_printf(s, "%.6f\t", i == j ? 0 : value(m, i, j) / unit);
        aster_str_add(s, "\n");
    }
}

static int write_file(struct aster_ctx *ctx, const char *dir, const char *name, const char *suffix,
                      struct aster_str *text)
{
    struct aster_str path = {0};
    int rc = aster_str_ok(ctx, text);
    aster_str_printf(&path, "%s/%s.%s", dir, name, suffix);
    if (rc == 0)
        rc = aster_str_ok(ctx, &path);
    if (rc == 0)
        rc = aster_file_write(ctx, path.s, aster_str_get(text), (int64_t)text->len);
    aster_str_free(&path);
    aster_str_free(text);
    return rc;
}

int aster_sim_write(struct aster_ctx *ctx, const struct aster_sim_machine *m, int n_gpus,
                    const char *dir)
{
    struct aster_str text = {0};
    char *bus;
    if (n_gpus < 0 || n_gpus > m->n_gpus)
        return aster_fail(ctx, ASTER_EPARAM, "%s has %d GPUs, %d were asked for", m->name,
                          m->n_gpus, n_gpus);
    ASTER_TRY(aster_path_join(ctx, dir, "bus", &bus));
    int rc = aster_mkdirs(ctx, bus);
    platform(&text, m, n_gpus);
    if (rc == 0)
        rc = write_file(ctx, bus, m->name, "platform.v4.xml", &text);
    table(&text, m, n_gpus, "MB/s", aster_sim_bandwidth, 1e6);
    if (rc == 0)
        rc = write_file(ctx, bus, m->name, "bandwidth", &text);
    table(&text, m, n_gpus, "microseconds", aster_sim_latency, 1e-6);
    if (rc == 0)
        rc = write_file(ctx, bus, m->name, "latency", &text);
    aster_str_add(&text, "# StarPU looks whether this file is here\n");
    if (rc == 0)
        rc = write_file(ctx, bus, m->name, "config", &text);
    aster_str_free(&text);
    aster_free(&bus);
    return rc;
}
