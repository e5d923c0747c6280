/* SPDX-License-Identifier: BSD-3-Clause */
/* TensorBoard event files: TFRecord frames around hand-encoded protobuf messages. */
#include "io/io.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

struct aster_events {
    struct aster_ctx *ctx;
    char *path;
    FILE *file;
};

static void put_varint(struct aster_str *s, uint64_t v)
{
    do {
        char b = (char)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
        aster_str_addn(s, &b, 1);
        v >>= 7;
    } while (v);
}

static void put_bytes(struct aster_str *s, int field, const char *bytes, size_t n)
{
    put_varint(s, (uint64_t)field << 3 | 2);
    put_varint(s, n);
    aster_str_addn(s, bytes, n);
}

/* little-endian, n bytes */
static void put_fixed(struct aster_str *s, uint64_t v, int n)
{
    for (int k = 0; k < n; k++) {
        char b = (char)(v >> 8 * k & 255);
        aster_str_addn(s, &b, 1);
    }
}

static uint32_t masked_crc(const void *bytes, size_t n)
{
    uint32_t c = aster_crc32c(0, bytes, n);
    return (c >> 15 | c << 17) + 0xa282ead8U;
}

static int write_record(struct aster_events *e, const struct aster_str *payload)
{
    struct aster_str frame = {0};
    put_fixed(&frame, payload->len, 8);
    put_fixed(&frame, frame.s ? masked_crc(frame.s, 8) : 0, 4);
    aster_str_addn(&frame, aster_str_get(payload), payload->len);
    put_fixed(&frame, masked_crc(aster_str_get(payload), payload->len), 4);
    int rc = payload->failed ? aster_str_ok(e->ctx, payload) : aster_str_ok(e->ctx, &frame);
    if (rc == 0 && fwrite(frame.s, 1, frame.len, e->file) != frame.len)
        rc = aster_fail(e->ctx, ASTER_EIO, "%s: cannot be written: %s", e->path, strerror(errno));
    aster_str_free(&frame);
    return rc;
}

static void put_time(struct aster_str *s)
{
    double now = aster_unix_time();
    uint64_t bits;
    memcpy(&bits, &now, sizeof bits);
    put_varint(s, 1 << 3 | 1);
    put_fixed(s, bits, 8);
}

int aster_events_open(struct aster_ctx *ctx, const char *dir, struct aster_events **out)
{
    struct aster_events *e = NULL;
    char host[256] = "localhost", name[400];
    int rc;
    *out = NULL;
    ASTER_TRY(aster_mkdirs(ctx, dir));
    ASTER_TRY(aster_alloc(ctx, 1, sizeof *e, &e));
    e->ctx = ctx;
    gethostname(host, sizeof host - 1);
    for (int k = 0; k < 1000 && !e->file;
         k++) { /* another file of this second is not overwritten */
        snprintf(name, sizeof name, "events.out.tfevents.%lld.%s.%ld.%d",
                 (long long)aster_unix_time(), host, (long)getpid(), k);
        aster_free(&e->path);
        ASTER_GOTO(aster_path_join(ctx, dir, name, &e->path), fail);
        e->file = fopen(e->path, "wbx");
        if (!e->file && errno != EEXIST)
            break;
    }
    if (!e->file) {
        rc = aster_fail(ctx, ASTER_EIO, "%s: cannot be made: %s", e->path, strerror(errno));
        goto fail;
    }
    struct aster_str s = {0};
    put_time(&s);
    put_bytes(&s, 3, "brain.Event:2", 13);
    rc = write_record(e, &s);
    aster_str_free(&s);
    if (rc < 0)
        goto fail;
    *out = e;
    return 0;
fail:
    aster_events_close(&e);
    return rc;
}

int aster_events_scalar(struct aster_events *e, const char *tag, int64_t step, float value)
{
    struct aster_str v = {0}, summary = {0}, event = {0};
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_bytes(&v, 1, tag, strlen(tag));
    put_varint(&v, 2 << 3 | 5);
    put_fixed(&v, bits, 4);
    put_bytes(&summary, 1, aster_str_get(&v), v.len);
    put_time(&event);
    if (step != 0) {
        put_varint(&event, 2 << 3);
        put_varint(&event, (uint64_t)step);
    }
    put_bytes(&event, 5, aster_str_get(&summary), summary.len);
    int rc = v.failed || summary.failed
                 ? aster_fail(e->ctx, ASTER_ENOMEM, "out of memory for an event")
                 : write_record(e, &event);
    aster_str_free(&v);
    aster_str_free(&summary);
    aster_str_free(&event);
    return rc;
}

int aster_events_flush(struct aster_events *e)
{
    return fflush(e->file) ? aster_fail(e->ctx, ASTER_EIO, "%s: cannot be written: %s", e->path,
                                        strerror(errno))
                           : 0;
}

void aster_events_close(struct aster_events **ep)
{
    struct aster_events *e = *ep;
    if (!e)
        return;
    if (e->file)
        fclose(e->file);
    aster_free(&e->path);
    aster_free(ep);
}
