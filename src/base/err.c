/* SPDX-License-Identifier: BSD-3-Clause */
/* The context: first error, log. */
#include "base/base.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct aster_ctx {
    pthread_mutex_t lock;
    int code;
    char message[2048], place[128];
    enum aster_level level;
    FILE *log_file;
    void (*around)(void *arg, bool before);
    void *around_arg;
};

int aster_ctx_new(struct aster_ctx **out)
{
    struct aster_ctx *ctx = calloc(1, sizeof *ctx);
    *out = ctx;
    if (!ctx)
        return ASTER_ENOMEM;
    pthread_mutex_init(&ctx->lock, NULL);
    ctx->level = ASTER_LOG_INFO;
    return 0;
}

void aster_ctx_free(struct aster_ctx **ctx)
{
    if (!*ctx)
        return;
    if ((*ctx)->log_file)
        fclose((*ctx)->log_file);
    pthread_mutex_destroy(&(*ctx)->lock);
    free(*ctx);
    *ctx = NULL;
}

void aster_format(char *text, size_t size, const char *fmt, va_list ap)
{
    int n = vsnprintf(text, size, fmt, ap);
    if (n >= (int)size)
        text[aster_cut(text, (int)size - 1)] = '\0';
}

int aster_fail_at(struct aster_ctx *ctx, const char *file, int line, int code, const char *fmt, ...)
{
    if (!ctx)
        return code;
    pthread_mutex_lock(&ctx->lock);
    if (!ctx->code) {
        va_list ap;
        va_start(ap, fmt);
        aster_format(ctx->message, sizeof ctx->message, fmt, ap);
        va_end(ap);
        snprintf(ctx->place, sizeof ctx->place, "%s:%d", aster_path_base(file), line);
        ctx->code = code;
    }
    pthread_mutex_unlock(&ctx->lock);
    return code;
}

int aster_ctx_code(const struct aster_ctx *ctx)
{
    return ctx ? ctx->code : 0;
}

const char *aster_ctx_message(const struct aster_ctx *ctx)
{
    return ctx ? ctx->message : "";
}

const char *aster_ctx_place(const struct aster_ctx *ctx)
{
    return ctx ? ctx->place : "";
}

void aster_ctx_clear(struct aster_ctx *ctx)
{
    if (!ctx)
        return;
    pthread_mutex_lock(&ctx->lock);
    ctx->code = 0;
    ctx->message[0] = ctx->place[0] = '\0';
    pthread_mutex_unlock(&ctx->lock);
}

void aster_log_level(struct aster_ctx *ctx, enum aster_level most)
{
    pthread_mutex_lock(&ctx->lock);
    ctx->level = most;
    pthread_mutex_unlock(&ctx->lock);
}

int aster_log_file(struct aster_ctx *ctx, const char *path)
{
    FILE *f = fopen(path, "a");
    if (!f)
        return aster_fail(ctx, ASTER_EIO, "%s: %s; the log file must be writable", path,
                          strerror(errno));
    pthread_mutex_lock(&ctx->lock);
    FILE *old = ctx->log_file;
    ctx->log_file = f;
    pthread_mutex_unlock(&ctx->lock);
    if (old)
        fclose(old);
    return 0;
}

void aster_log_hook(struct aster_ctx *ctx, void (*around)(void *arg, bool before), void *arg)
{
    pthread_mutex_lock(&ctx->lock);
    ctx->around = around;
    ctx->around_arg = arg;
    pthread_mutex_unlock(&ctx->lock);
}

void aster_log(struct aster_ctx *ctx, enum aster_level level, const char *fmt, ...)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    char text[2048], when[32];
    va_list ap;
    if (!ctx)
        return;
    va_start(ap, fmt);
    aster_format(text, sizeof text, fmt, ap);
    va_end(ap);
    pthread_mutex_lock(&ctx->lock);
    if (level <= ctx->level) {
        if (ctx->around)
            ctx->around(ctx->around_arg, true);
        fprintf(stderr, "[aster] %s: %s\n", names[level], text);
        if (ctx->around)
            ctx->around(ctx->around_arg, false);
    }
    if (ctx->log_file) {
        aster_iso_time(when);
        fprintf(ctx->log_file, "%s %s: %s\n", when, names[level], text);
        fflush(ctx->log_file);
    }
    pthread_mutex_unlock(&ctx->lock);
}
