/* SPDX-License-Identifier: BSD-3-Clause */
/* Cores, memory and environment of this process. */
#include "runtime/machine.h"

#include <hwloc.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int count_cores(struct aster_ctx *ctx, struct aster_machine *m)
{
    hwloc_topology_t topology;
    cpu_set_t mask;
    bool have_mask = sched_getaffinity(0, sizeof mask, &mask) == 0;
    if (hwloc_topology_init(&topology) < 0)
        return aster_fail(ctx, ASTER_ENOMEM, "hwloc: no memory for the topology");
    hwloc_topology_set_flags(topology, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED);
    if (hwloc_topology_load(topology) < 0) {
        hwloc_topology_destroy(topology);
        return aster_fail(ctx, ASTER_EIO, "hwloc cannot read the topology of this machine");
    }
    hwloc_obj_type_t type =
        hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_CORE) > 0 ? HWLOC_OBJ_CORE : HWLOC_OBJ_PU;
    m->machine_cores = hwloc_get_nbobjs_by_type(topology, type);
    for (int k = 0; k < m->machine_cores; k++) {
        hwloc_obj_t core = hwloc_get_obj_by_type(topology, type, (unsigned)k);
        bool usable = false, whole = true;
        unsigned cpu;
        hwloc_bitmap_foreach_begin(cpu, core->cpuset) bool in =
            !have_mask || cpu >= CPU_SETSIZE || CPU_ISSET(cpu, &mask);
        usable |= in;
        whole &= in;
        hwloc_bitmap_foreach_end();
        m->cores += usable;
        m->masked |= !whole;
    }
    hwloc_topology_destroy(topology);
    return 0;
}

/* Numbers in a one-line file of the kernel; "max" and what is absent leave them untouched. */
static int read_numbers(const char *path, int n, int64_t *out)
{
    FILE *f = fopen(path, "r");
    long long a[2];
    if (!f)
        return 0;
    int got = fscanf(f, "%lld %lld", &a[0], &a[1]);
    fclose(f);
    for (int k = 0; k < n && k < got; k++)
        out[k] = a[k];
    return got < 0 ? 0 : got;
}

static void look_at_memory(struct aster_machine *m)
{
    FILE *f = fopen("/proc/meminfo", "r");
    char line[128];
    long long kib, limit = 0, used = 0;
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "MemAvailable: %lld", &kib) == 1)
            m->free_memory = kib * 1024;
    if (f)
        fclose(f);
    int64_t group[2] = {0, 0};
    if (read_numbers("/sys/fs/cgroup/memory.max", 1, &group[0]) == 1 &&
        read_numbers("/sys/fs/cgroup/memory.current", 1, &group[1]) == 1) {
        limit = group[0];
        used = group[1];
        m->free_memory = aster_max64(0, aster_min64(m->free_memory, limit - used));
    }
    if (m->free_memory <= 0)
        m->free_memory = 1LL << 30;
}

int aster_machine_look(struct aster_ctx *ctx, struct aster_machine *out)
{
    *out = (struct aster_machine){0};
    ASTER_TRY(count_cores(ctx, out));
    int64_t quota[2];
    if (read_numbers("/sys/fs/cgroup/cpu.max", 2, quota) == 2 && quota[1] > 0 && quota[0] > 0) {
        int64_t cores = aster_max64(1, quota[0] / quota[1]);
        if (cores < out->cores) {
            out->cores = (int)cores;
            out->masked = true;
        }
    }
    look_at_memory(out);
    if (out->cores < 1)
        out->cores = 1;
    return 0;
}

static bool usable_folder(struct aster_ctx *ctx, const char *path)
{
    struct aster_ctx *quiet = NULL;
    if (aster_ctx_new(&quiet) < 0)
        return false;
    bool good = aster_mkdirs(quiet, path) == 0 && access(path, W_OK) == 0;
    aster_ctx_free(&quiet);
    return good;
}

/* Where StarPU may keep its files: the user's cache, else a private folder among the temporary
 * files. */
static int find_cache(struct aster_ctx *ctx, struct aster_str *path)
{
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME"), *tmp = getenv("TMPDIR");
    if (xdg && *xdg == '/')
        aster_str_printf(path, "%s/asterism/starpu", xdg);
    else if (home && *home == '/')
        aster_str_printf(path, "%s/.cache/asterism/starpu", home);
    ASTER_TRY(aster_str_ok(ctx, path));
    if (path->len && usable_folder(ctx, path->s))
        return 0;
    aster_str_free(path);
    aster_str_printf(path, "%s/asterism-%ld", tmp && *tmp ? tmp : "/tmp", (long)getuid());
    ASTER_TRY(aster_str_ok(ctx, path));
    struct stat st;
    if (mkdir(path->s, 0700) != 0 &&
        (lstat(path->s, &st) != 0 || !S_ISDIR(st.st_mode) || st.st_uid != getuid()))
        return aster_fail(ctx, ASTER_EIO,
                          "no folder for StarPU's files: neither the cache folder of HOME nor %s "
                          "can be used; set STARPU_HOME",
                          path->s);
    return 0;
}

int aster_machine_set_environment(struct aster_ctx *ctx, bool bind_workers)
{
    struct aster_str cache = {0}, models = {0};
    int rc = 0;
    if (!getenv("STARPU_HOME")) {
        ASTER_GOTO(find_cache(ctx, &cache), done);
        setenv("STARPU_HOME", cache.s, 1);
    }
    if (!getenv("STARPU_PERF_MODEL_DIR")) {
        aster_str_printf(&models, "%s/models", getenv("STARPU_HOME"));
        ASTER_GOTO(aster_str_ok(ctx, &models), done);
        setenv("STARPU_PERF_MODEL_DIR", models.s, 1);
    }
    setenv("STARPU_SILENT", "1", 0);
    setenv("STARPU_WATCHDOG_CRASH", "0", 0);
    /* 1.3 binds worker k to core k whatever the mask says; two programs would share the first cores
     */
    if (!bind_workers)
        setenv("STARPU_WORKERS_NOBIND", "1", 0);
done:
    aster_str_free(&cache);
    aster_str_free(&models);
    return rc;
}
