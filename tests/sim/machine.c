/* SPDX-License-Identifier: BSD-3-Clause */
/* Machine files: their mistakes with places, the machine that comes out, and the platform written
 * from it. */
#include "pipeline/machine_file.h"
#include "unit/files.h"

#include <math.h>

static struct aster_sim_machine machine;
static struct aster_str mistakes;

/* The result of reading text as a machine file. */
static int machine_of(const char *text)
{
    aster_str_free(&mistakes);
    aster_ctx_clear(ctx);
    return aster_machine_file_read(ctx, put_text("m.yaml", text), &machine, &mistakes);
}

static const char good[] =
    "asterism: 1\nmachine: two\ncpu: {cores: 4, gflops_f32: 100, gflops_f64: 50, efficiency: 0.5, "
    "bandwidth_gbs: 40, memory_gb: 64}\n"
    "gpu: {name: G, count: 2, memory_gb: 10, tflops_f32: 20, tflops_f64: 10, bandwidth_gbs: 1000, "
    "launch_us: 5}\n"
    "links: {host_gbs: 30, pcie_gbs: 20, pcie_latency_us: 8, peer_gbs: 100, peer_latency_us: 4}\n";

static bool close_to(double a, double b)
{
    return fabs(a - b) <= 1e-12 * fabs(b);
}

static void values(void)
{
    const struct aster_sim_machine *m = &machine;
    tap_ok(machine_of(good) == 0 && mistakes.len == 0, "a machine is read");
    tap_ok(!strcmp(m->name, "two") && m->cores == 4 && m->n_gpus == 2 && !strcmp(m->gpu_name, "G"),
           "its parts");
    tap_ok(close_to(m->core.flops_f32, 50e9) && close_to(m->core.bandwidth, 10e9),
           "a core has its share of the bandwidth");
    tap_ok(close_to(m->gpu.flops_f32, 20e12) && close_to(m->gpu.launch, 5e-6) &&
               close_to(m->gpu_memory, 10e9),
           "a GPU");
    tap_ok(close_to(aster_sim_bandwidth(m, 0, 1), 20e9) &&
               close_to(aster_sim_bandwidth(m, 1, 2), 100e9) &&
               close_to(aster_sim_latency(m, 2, 1), 4e-6),
           "links");
}

/* text has a mistake at line:column about what */
static void mistake(const char *text, const char *place, const char *what)
{
    int rc = machine_of(text);
    tap_ok(rc < 0 && strstr(aster_str_get(&mistakes), place) &&
               strstr(aster_str_get(&mistakes), what),
           "%s %s", place, what);
    if (!strstr(aster_str_get(&mistakes), what))
        tap_note("%s", aster_str_get(&mistakes));
}

static void all_mistakes(void)
{
    mistake("asterism: 1\nmachine: x\ncpu: {cores: 4, gflops_f32: 1, gflops_f64: 1, bandwith_gbs: "
            "1, memory_gb: 1}\n",
            "m.yaml:3:47:", "bandwidth_gbs");
    mistake("asterism: 1\nmachine: x\ncpu: {cores: many, gflops_f32: 1, gflops_f64: 1, "
            "bandwidth_gbs: 1, memory_gb: 1}\n",
            "m.yaml:3:14:", "cores");
    mistake("asterism: 1\nmachine: x\ncpu: {cores: 0, gflops_f32: 1, gflops_f64: 1, bandwidth_gbs: "
            "1, memory_gb: 1}\n",
            "m.yaml:3:14:", "1..4096");
    mistake("asterism: 2\nmachine: x\n", "m.yaml:1:11:", "expected 1");
    mistake("asterism: 1\nmachine: a b/c\ncpu: {cores: 4, gflops_f32: 1, gflops_f64: 1, "
            "bandwidth_gbs: 1, memory_gb: 1}\n",
            "m.yaml:2:10:", "no name");
    mistake("asterism: 1\nmachine: x\n", "m.yaml:1:1:", "'cpu' is missing");
    mistake("- 1\n", "m.yaml:1:1:", "expected a mapping");
    mistake("a: [\n", "m.yaml:2:", "not YAML");
}

static char *read_bus(const char *suffix)
{
    char name[64], *text = NULL;
    int64_t n;
    snprintf(name, sizeof name, "sim/bus/two.%s", suffix);
    return aster_file_read(ctx, in_dir(name), 1 << 20, &text, &n) == 0 ? text : NULL;
}

static int count(const char *text, const char *word)
{
    int n = 0;
    for (; text && (text = strstr(text, word)); text++)
        n++;
    return n;
}

static void platform(void)
{
    const char *dir = in_dir("sim");
    tap_ok(machine_of(good) == 0 && aster_sim_write(ctx, &machine, 2, dir) == 0,
           "the files of a simulation are written");
    char *xml = read_bus("platform.v4.xml"), *bandwidth = read_bus("bandwidth");
    tap_ok(count(xml, "<host ") == 2 + 4 + 2, "hosts: main, memory, cores, GPUs");
    tap_ok(count(xml, "<route ") == 2 * 2 + 2,
           "routes: each GPU from and to memory, and the pair in both directions");
    tap_ok(count(xml, "memsize\" value=\"10000000000\"") == 2, "memory of the GPUs");
    tap_ok(bandwidth && count(bandwidth, "nan") == 7 && count(bandwidth, "100000.000000") == 2 &&
               count(bandwidth, "20000.000000") == 4,
           "MB/s between memories, with a row and a column to be dropped");
    aster_free(&xml);
    aster_free(&bandwidth);
    tap_ok(aster_sim_write(ctx, &machine, 3, dir) < 0 &&
               strstr(aster_ctx_message(ctx), "has 2 GPUs"),
           "more GPUs than there are");
}

int main(void)
{
    test_start();
    values();
    all_mistakes();
    platform();
    aster_str_free(&mistakes);
    return test_end();
}
