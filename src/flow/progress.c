/* SPDX-License-Identifier: BSD-3-Clause */
/* What a person watches: a dashboard redrawn in place on a terminal, a log line every few seconds
 * elsewhere. */
#include "flow/internal.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define PERIOD      0.5 /* seconds between samples and redraws */
#define MAX_SAMPLES 512 /* kept of the busy share; when full, neighbours are averaged */
#define MAX_LINES   200 /* of the dashboard */

struct aster_progress {
    struct aster_run *run;
    struct aster_ctx *ctx;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t thread;
    bool running, stop, dashboard;
    double interval, last_line, began, stage_began;
    char what[64], note[160];
    int64_t total, done, failed, done_at_start;
    struct aster_runtime *rt;
    double rt_began;
    int n_workers;
    struct aster_worker_info *workers;
    int64_t *warned; /* of each worker: its number of tasks at the last warning, + 1 */
    int64_t n_samples, stride, in_stride;
    double *times, *busy;          /* [n_samples], [n_samples, n_workers] */
    int n_drawn, width[MAX_LINES]; /* of the lines on the terminal */
};

static void duration(double s, char out[32])
{
    if (!(s >= 0) || s > 360000 * 100.0)
        snprintf(out, 32, "?");
    else if (s >= 3600)
        snprintf(out, 32, "%d:%02d:%02d", (int)(s / 3600), (int)(s / 60) % 60, (int)s % 60);
    else
        snprintf(out, 32, "%d:%02d", (int)(s / 60), (int)s % 60);
}

static double rate(const struct aster_progress *p)
{
    double t = aster_wall() - p->stage_began;
    return t > 0 ? (double)(p->done - p->done_at_start) / t : 0;
}

static double mean_busy(const struct aster_progress *p)
{
    double sum = 0;
    for (int i = 0; i < p->n_workers; i++)
        sum += p->workers[i].busy;
    return p->n_workers ? sum / p->n_workers : 0;
}

/* "done/total, failed, items/s, time left" */
static void status_text(const struct aster_progress *p, char *out, size_t size)
{
    char left[32] = "?", total[32] = "?";
    double r = rate(p);
    if (p->total >= 0)
        snprintf(total, sizeof total, "%lld", (long long)p->total);
    if (p->total >= 0 && r > 0)
        duration((double)(p->total - p->done) / r, left);
    snprintf(out, size, "%lld/%s done, %lld failed, %.1f items/s, %s left", (long long)p->done,
             total, (long long)p->failed, r, left);
}

/* ---- terminal ---- */
static void terminal_size(int *columns, int *rows)
{
    struct winsize w;
    *columns = 80;
    *rows = 24;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 && w.ws_row > 0) {
        *columns = w.ws_col;
        *rows = w.ws_row;
    }
}

/* Clears what was drawn. After a resize a line may take several rows of the narrower terminal. */
static void erase(struct aster_progress *p)
{
    int columns, rows, up = 0;
    terminal_size(&columns, &rows);
    for (int i = 0; i < p->n_drawn; i++)
        up += p->width[i] > columns ? (p->width[i] + columns - 1) / columns : 1;
    if (up)
        fprintf(stderr, "\033[%dA\r\033[J", up);
    fflush(stderr);
    p->n_drawn = 0;
}

static void bar(char *out, int width, double share)
{
    int full = (int)(share * width + 0.5);
    full = full < 0 ? 0 : full > width ? width : full;
    memset(out, '#', (size_t)full);
    memset(out + full, '-', (size_t)(width - full));
    out[width] = '\0';
}

static void put_line(struct aster_progress *p, int columns, const char *fmt, ...)
    ASTER_PRINTF(3, 4);
static void put_line(struct aster_progress *p, int columns, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    aster_format(text, sizeof text, fmt, ap);
    va_end(ap);
    if (p->n_drawn == MAX_LINES)
        return;
    if (columns > 1 && strlen(text) > (size_t)columns - 1)
        text[columns - 1] = '\0';
    p->width[p->n_drawn++] = (int)strlen(text);
    fprintf(stderr, "%s\033[K\n", text);
}

static void bytes(int64_t n, char out[32])
{
    if (n < INT64_C(1) << 30)
        snprintf(out, 32, "%.0f MiB", (double)n / (1 << 20));
    else
        snprintf(out, 32, "%.1f GiB", (double)n / (1 << 30));
}

/* One line for workers first .. first + n - 1. */
static void worker_line(struct aster_progress *p, int columns, int first, int n)
{
    char name[80], meter[64], used_text[32], all_text[32], memory[80] = "";
    double share = 0;
    int64_t tasks = 0, used = p->workers[first].memory_used, all = p->workers[first].memory_total;
    for (int i = first; i < first + n; i++) {
        share += p->workers[i].busy / n;
        tasks += p->workers[i].tasks;
    }
    if (n == 1)
        snprintf(name, sizeof name, "%s", p->workers[first].name);
    else
        snprintf(name, sizeof name, "%s .. %s", p->workers[first].name,
                 p->workers[first + n - 1].name);
    if (all > 0 && columns < 60) {
        bytes(used, used_text);
        snprintf(memory, sizeof memory, "  %s", used_text);
    } else if (all > 0) {
        bytes(used, used_text);
        bytes(all, all_text);
        snprintf(memory, sizeof memory, "  %s of %s", used_text, all_text);
    }
    int width = columns < 80 ? 10 : columns < 100 ? 20 : 40;
    bar(meter, width, share);
    put_line(p, columns, "%-*s [%s] %3.0f %% busy%s  %lld tasks", columns < 80 ? 6 : 8, name, meter,
             100 * share, memory, (long long)tasks);
}

static void draw(struct aster_progress *p)
{
    char status[160], meter[64], since[32];
    int columns, rows;
    terminal_size(&columns, &rows);
    status_text(p, status, sizeof status);
    duration(aster_wall() - p->began, since);
    put_line(p, columns, "%s: %s, %s, busy %.0f %%", p->run->spec->name, p->what, since,
             100 * mean_busy(p));
    if (p->total > 0) { /* the bar takes what the figures leave, or a line of its own */
        double share = (double)p->done / (double)p->total;
        int left = columns - 12 - (int)strlen(status), width = left < 8 ? columns - 10 : left;
        bar(meter, width > 40 ? 40 : width < 4 ? 4 : width, share);
        put_line(p, columns, "[%s] %3.0f %%  %s", meter, 100 * share, left < 8 ? "" : status);
        if (left < 8)
            put_line(p, columns, "%s", status);
    } else {
        put_line(p, columns, "%s", status);
    }
    if (*p->note)
        put_line(p, columns, "%s", p->note);
    int room = rows - 6 > 1 ? rows - 6 : 1;
    int each = p->n_workers > 0 ? (p->n_workers + room - 1) / room : 1;
    for (int i = 0; i < p->n_workers; i += each)
        worker_line(p, columns, i, i + each <= p->n_workers ? each : p->n_workers - i);
    fflush(stderr);
}

/* Log lines and the dashboard take turns: the lock is held while a line is printed. */
static void around_log(void *arg, bool before)
{
    struct aster_progress *p = arg;
    if (before) {
        pthread_mutex_lock(&p->lock);
        erase(p);
    } else {
        if (p->running && !p->stop)
            draw(p);
        pthread_mutex_unlock(&p->lock);
    }
}

/* ---- sampling ---- */
static void halve_samples(struct aster_progress *p)
{
    for (int64_t i = 0; i < MAX_SAMPLES / 2; i++) {
        p->times[i] = p->times[2 * i + 1];
        for (int w = 0; w < p->n_workers; w++)
            p->busy[i * p->n_workers + w] =
                (p->busy[2 * i * p->n_workers + w] + p->busy[(2 * i + 1) * p->n_workers + w]) / 2;
    }
    p->n_samples = MAX_SAMPLES / 2;
    p->stride *= 2;
}

static void sample(struct aster_progress *p)
{
    if (!p->rt)
        return;
    for (int w = 0; w < p->n_workers; w++)
        aster_runtime_sample(p->rt, w, &p->workers[w]);
    if (p->n_samples == MAX_SAMPLES)
        halve_samples(p);
    double *row = p->busy + p->n_samples * p->n_workers;
    for (int w = 0; w < p->n_workers; w++)
        row[w] = ((double)p->in_stride * row[w] + p->workers[w].busy) / (double)(p->in_stride + 1);
    p->times[p->n_samples] = aster_wall() - p->began;
    if (++p->in_stride == p->stride) {
        p->in_stride = 0;
        p->n_samples++;
    }
}

/* Under the lock: the text of a log line if one is due. */
static bool due_line(struct aster_progress *p, char *out, size_t size)
{
    char status[160];
    double now = aster_wall();
    if (p->dashboard || p->interval <= 0 || now - p->last_line < p->interval)
        return false;
    p->last_line = now;
    status_text(p, status, sizeof status);
    snprintf(out, size, "%s: %s, busy %.0f %%%s%s", p->what, status, 100 * mean_busy(p),
             *p->note ? ", " : "", p->note);
    return true;
}

/* Under the lock: the next worker that is long in one task and was not told of. */
static bool stalled(struct aster_progress *p, char *out, size_t size)
{
    for (int w = 0; w < p->n_workers; w++) {
        const struct aster_worker_info *i = &p->workers[w];
        if (p->run->opt->stall <= 0 || i->seconds_task < p->run->opt->stall ||
            p->warned[w] == i->tasks + 1)
            continue;
        p->warned[w] = i->tasks + 1;
        snprintf(out, size, "%s: one task has taken %.0f s so far", i->name, i->seconds_task);
        return true;
    }
    return false;
}

/* The log has its own lock and takes this one inside it. */
static void say(struct aster_progress *p, enum aster_level level, const char *line)
{
    pthread_mutex_unlock(&p->lock);
    aster_log(p->ctx, level, "%s", line);
    pthread_mutex_lock(&p->lock);
}

static void *watch(void *arg)
{
    struct aster_progress *p = arg;
    char line[512];
    pthread_mutex_lock(&p->lock);
    while (!p->stop) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += (long)(PERIOD * 1e9);
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&p->wake, &p->lock, &until);
        if (p->stop)
            break;
        sample(p);
        if (p->dashboard) {
            erase(p);
            draw(p);
        }
        if (due_line(p, line, sizeof line))
            say(p, ASTER_LOG_INFO, line);
        while (stalled(p, line, sizeof line))
            say(p, ASTER_LOG_WARN, line);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* ---- from outside ---- */
int aster_progress_new(struct aster_run *run, struct aster_progress **out)
{
    struct aster_progress *p = NULL;
    ASTER_TRY(aster_alloc(run->ctx, 1, sizeof *p, &p));
    p->run = run;
    p->ctx = run->ctx;
    p->dashboard = run->opt->dashboard && !run->opt->quiet;
    p->interval = run->opt->quiet ? 0 : 10;
    p->began = p->stage_began = p->last_line = aster_wall();
    p->total = -1;
    p->stride = 1;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    *out = p;
    int bad = pthread_create(&p->thread, NULL, watch, p);
    if (bad)
        return aster_fail(run->ctx, ASTER_EIO, "cannot start the progress thread: %s",
                          strerror(bad));
    p->running = true;
    if (p->dashboard)
        aster_log_hook(run->ctx, around_log, p);
    return 0;
}

int aster_progress_runtime(struct aster_progress *p, struct aster_runtime *rt)
{
    struct aster_worker_info *workers = NULL;
    double *times = NULL, *busy = NULL;
    int64_t *warned = NULL;
    int n = aster_runtime_n_workers(rt), rc;
    if (!p)
        return 0;
    ASTER_GOTO(aster_alloc(p->ctx, n, sizeof *workers, &workers), fail);
    ASTER_GOTO(aster_alloc(p->ctx, n, sizeof *warned, &warned), fail);
    ASTER_GOTO(aster_alloc(p->ctx, MAX_SAMPLES, sizeof *times, &times), fail);
    ASTER_GOTO(aster_alloc(p->ctx, (int64_t)MAX_SAMPLES * n, sizeof *busy, &busy), fail);
    pthread_mutex_lock(&p->lock);
    p->workers = workers;
    p->warned = warned;
    p->times = times;
    p->busy = busy;
    p->rt = rt;
    p->rt_began = aster_wall();
    p->n_workers = n;
    pthread_mutex_unlock(&p->lock);
    return 0;
fail:
    aster_free(&workers);
    aster_free(&warned);
    aster_free(&times);
    return rc;
}

void aster_progress_stage(struct aster_progress *p, const char *what, int64_t total)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    snprintf(p->what, sizeof p->what, "%s", what);
    p->note[0] = '\0';
    p->total = total;
    p->done = p->done_at_start = p->failed = 0;
    p->stage_began = aster_wall();
    pthread_mutex_unlock(&p->lock);
}

void aster_progress_interval(struct aster_progress *p, double seconds)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    if (!p->run->opt->quiet)
        p->interval = seconds;
    pthread_mutex_unlock(&p->lock);
}

void aster_progress_set(struct aster_progress *p, int64_t done)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->done = done;
    pthread_mutex_unlock(&p->lock);
}

void aster_progress_skip(struct aster_progress *p, int64_t done, int64_t failed)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->done += done;
    p->done_at_start += done;
    p->failed += failed;
    pthread_mutex_unlock(&p->lock);
}

void aster_progress_add(struct aster_progress *p, int64_t done, int64_t failed)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->done += done;
    p->failed += failed;
    pthread_mutex_unlock(&p->lock);
}

void aster_progress_note(struct aster_progress *p, const char *fmt, ...)
{
    va_list ap;
    if (!p)
        return;
    va_start(ap, fmt);
    pthread_mutex_lock(&p->lock);
    aster_format(p->note, sizeof p->note, fmt, ap);
    pthread_mutex_unlock(&p->lock);
    va_end(ap);
}

static void stop_thread(struct aster_progress *p)
{
    if (!p->running)
        return;
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pthread_cond_signal(&p->wake);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->thread, NULL);
    if (p->dashboard) {
        aster_log_hook(p->ctx, NULL, NULL);
        erase(p);
    }
    p->running = false;
}

static int write_workers(struct aster_progress *p)
{
    struct aster_str s = {0};
    aster_str_add(&s, "seconds,worker,name,busy\n");
    for (int64_t i = 0; i < p->n_samples; i++)
        for (int w = 0; w < p->n_workers; w++)
            aster_str_printf(&s, "%.2f,%d,%s,%.4f\n", p->times[i], w, p->workers[w].name,
                             p->busy[i * p->n_workers + w]);
    int rc = aster_run_write(p->run, "workers.csv", &s);
    aster_str_free(&s);
    return rc;
}

int aster_progress_finish(struct aster_progress *p)
{
    if (!p)
        return 0;
    stop_thread(p);
    if (!p->rt)
        return 0;
    sample(p);
    if (p->in_stride)
        p->n_samples++;
    double seconds = 0, wall = aster_wall() - p->rt_began;
    for (int w = 0; w < p->n_workers; w++)
        seconds += p->workers[w].seconds_busy;
    p->run->busy = wall > 0 && p->n_workers ? seconds / (wall * p->n_workers) : 0;
    return write_workers(p);
}

void aster_progress_free(struct aster_progress **pp)
{
    struct aster_progress *p = *pp;
    if (!p)
        return;
    stop_thread(p);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    aster_free(&p->workers);
    aster_free(&p->warned);
    aster_free(&p->times);
    aster_free(&p->busy);
    aster_free(pp);
}
