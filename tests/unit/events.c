/* SPDX-License-Identifier: BSD-3-Clause */
/* Event files: frames, checksums and messages decoded byte by byte, ours and a published one. */
#include "unit/files.h"
#include "io/io.h"

#include <dirent.h>

/* The checksum bit by bit, without the library's table. */
static uint32_t slow_masked(const uint8_t *b, uint64_t n)
{
    uint32_t c = 0xffffffffU;
    for (uint64_t k = 0; k < n; k++) {
        c ^= b[k];
        for (int j = 0; j < 8; j++)
            c = c >> 1 ^ (c & 1 ? 0x82f63b78U : 0);
    }
    c = ~c;
    return (c >> 15 | c << 17) + 0xa282ead8U;
}

static uint64_t le(const uint8_t *p, int n)
{
    uint64_t v = 0;
    for (int k = n; k-- > 0;)
        v = v << 8 | p[k];
    return v;
}

static bool varint(const uint8_t **p, const uint8_t *end, uint64_t *v)
{
    *v = 0;
    for (int shift = 0; *p < end && shift < 70; shift += 7) {
        uint8_t b = *(*p)++;
        *v |= (uint64_t)(b & 127) << shift;
        if (b < 128)
            return true;
    }
    return false;
}

struct record {
    bool good, has_value;
    double time;
    uint64_t step;
    char version[40], tag[80];
    float value;
};

/* An Event, its Summary or the Summary's Value: depth 0, 1, 2. Fields that are not known are passed
 * over, as protobuf has it. */
static bool message(const uint8_t *p, const uint8_t *end, int depth, struct record *r)
{
    while (p < end) {
        uint64_t key, n = 0;
        if (!varint(&p, end, &key))
            return false;
        int field = (int)(key >> 3), wire = (int)(key & 7);
        if (wire == 0) {
            if (!varint(&p, end, &n))
                return false;
            if (depth == 0 && field == 2)
                r->step = n;
            continue;
        }
        if (wire == 2 && !varint(&p, end, &n))
            return false;
        n = wire == 1 ? 8 : wire == 5 ? 4 : n;
        if (wire == 3 || wire == 4 || n > (uint64_t)(end - p))
            return false;
        if (depth == 0 && field == 1 && wire == 1)
            memcpy(&r->time, p, 8);
        if (depth == 0 && field == 3 && wire == 2)
            snprintf(r->version, sizeof r->version, "%.*s", (int)n, (const char *)p);
        if (((depth == 0 && field == 5) || (depth == 1 && field == 1)) && wire == 2 &&
            !message(p, p + n, depth + 1, r))
            return false;
        if (depth == 2 && field == 1 && wire == 2)
            snprintf(r->tag, sizeof r->tag, "%.*s", (int)n, (const char *)p);
        if (depth == 2 && field == 2 && wire == 5) {
            memcpy(&r->value, p, 4);
            r->has_value = true;
        }
        p += n;
    }
    return true;
}

static int decode(const char *path, struct record *out, int most)
{
    char *b = NULL;
    int64_t size = 0, at = 0;
    int n = 0;
    if (!fine(aster_file_read(ctx, path, 1 << 24, &b, &size)))
        return -1;
    const uint8_t *u = (const uint8_t *)b;
    for (; n < most && size - at >= 16; n++) {
        uint64_t length = le(u + at, 8);
        out[n] = (struct record){0};
        if (length > (uint64_t)(size - at - 16))
            break;
        out[n].good = le(u + at + 8, 4) == slow_masked(u + at, 8) &&
                      le(u + at + 12 + length, 4) == slow_masked(u + at + 12, length) &&
                      message(u + at + 12, u + at + 12 + length, 0, &out[n]);
        at += 16 + (int64_t)length;
    }
    aster_free(&b);
    return at == size ? n : -1;
}

static const char *only_file(const char *dir)
{
    static char path[PATH_MAX + 512];
    DIR *d = opendir(dir);
    struct dirent *e;
    int n = 0;
    while (d && (e = readdir(d)))
        if (!strncmp(e->d_name, "events.out.tfevents.", 20)) {
            snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
            n++;
        }
    if (d)
        closedir(d);
    return n == 1 ? path : "";
}

static void test_ours(void)
{
    struct aster_events *e = NULL, *second = NULL;
    struct record r[8];
    double before = aster_unix_time();
    char dir[PATH_MAX + 256];
    snprintf(dir, sizeof dir, "%s", in_dir("run/tensorboard"));
    tap_ok(fine(aster_events_open(ctx, dir, &e)) && e, "the folder and the file are made");
    if (!e)
        return;
    tap_ok(fine(aster_events_scalar(e, "Loss/train", 0, 0.391945f)) &&
               fine(aster_events_scalar(e, "Metrics/f1_macro", 1, -1e-30f)) &&
               fine(aster_events_scalar(e, "a", 300, 0)) &&
               fine(aster_events_scalar(e, "a", 1LL << 40, 3.4e38f)) && fine(aster_events_flush(e)),
           "scalars are written");
    int n = decode(only_file(dir), r, 8);
    bool good = n == 5;
    for (int k = 0; good && k < n; k++)
        good = r[k].good && r[k].time >= before && r[k].time <= aster_unix_time();
    tap_ok(good, "five whole records after a flush, checksums and times right");
    if (!good)
        return;
    tap_ok(!strcmp(r[0].version, "brain.Event:2") && !*r[0].tag,
           "the first record has the version");
    tap_ok(r[1].step == 0 && r[1].value == 0.391945f && !strcmp(r[1].tag, "Loss/train") &&
               !*r[1].version,
           "the first scalar");
    tap_ok(r[2].step == 1 && r[2].value == -1e-30f && !strcmp(r[2].tag, "Metrics/f1_macro"),
           "the second");
    tap_ok(r[3].step == 300 && r[3].has_value && r[3].value == 0 && r[4].step == 1ULL << 40 &&
               r[4].value == 3.4e38f,
           "steps of several bytes");
    tap_ok(fine(aster_events_open(ctx, dir, &second)) && !*only_file(dir),
           "a second writer gets a file of its own");
    aster_events_close(&second);
    aster_events_close(&e);
    failed_with("a file in the way of the folder",
                aster_events_open(ctx, put_text("file", "x"), &e), ASTER_EIO, "file", NULL);
    tap_ok(!e, "a failure leaves NULL");
}

/* The published file decides what is right: our writer
 * must say the same things in the same order. */
static void test_published(void)
{
    static const char *const tags[9] = {"Loss/train",        "Loss/val",       "Metrics/accuracy",
                                        "Metrics/precision", "Metrics/recall", "Metrics/f1",
                                        "Metrics/f1_macro",  "Metrics/mcc",    "Metrics/auc"};
    static const char *const keys[9] = {"train_losses", "val_losses", "accuracy",
                                        "precision",    "recall",     "f1",
                                        "f1_macro",     "mcc",        "auc"};
    const char *found = shared("rcl/results/runs_B/onehot_lstm");
    char dir[PATH_MAX], history[PATH_MAX + 32];
    struct record r[100];
    struct aster_json *j = NULL;
    if (!found) {
        tap_skip("a published event file: no shared test data");
        return;
    }
    snprintf(dir, sizeof dir, "%s", found);
    snprintf(history, sizeof history, "%s/training_history.json", dir);
    int n = decode(only_file(dir), r, 100);
    bool good = n == 82 && fine(aster_json_read(ctx, history, &j));
    for (int k = 0; k < n; k++)
        good &= r[k].good;
    tap_ok(good && !strcmp(r[0].version, "brain.Event:2"), "a published event file: %d records", n);
    for (int k = 1; good && k < n; k++) {
        int tag = (k - 1) % 9, epoch = (k - 1) / 9;
        const struct aster_json *v =
            aster_json_get(tag < 2 ? j : aster_json_get(j, "val_metrics"), keys[tag]);
        v = v ? v->child : NULL;
        for (int skip = 0; v && skip < epoch; skip++)
            v = v->next;
        good = v && !strcmp(r[k].tag, tags[tag]) && r[k].step == (uint64_t)epoch &&
               r[k].value == (float)v->number;
    }
    tap_ok(good, "its scalars are those of the history beside it, in our order");
    aster_json_free(&j);
}

int main(void)
{
    test_start();
    test_ours();
    test_published();
    return test_end();
}
