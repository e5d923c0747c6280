/* SPDX-License-Identifier: BSD-3-Clause */
/* Clocks. */
#include "base/base.h"

#include <time.h>

static double seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double aster_wall(void)
{
    return seconds(CLOCK_MONOTONIC);
}

double aster_cpu_process(void)
{
    return seconds(CLOCK_PROCESS_CPUTIME_ID);
}

double aster_cpu_thread(void)
{
    return seconds(CLOCK_THREAD_CPUTIME_ID);
}

double aster_unix_time(void)
{
    return seconds(CLOCK_REALTIME);
}

void aster_iso_time(char out[32])
{
    time_t now = time(NULL);
    struct tm tm;
    gmtime_r(&now, &tm);
    strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}
