/* SPDX-License-Identifier: BSD-3-Clause */
/* From the scores of frames to calls of chunks and records. */
#include "seq/seq.h"

#include <math.h>

void aster_chunk_call_add(struct aster_chunk_call *c, float other, float virus)
{
    if (!isfinite(other) || !isfinite(virus)) {
        c->n_failed++;
        return;
    }
    if (c->n_frames == 0 || other > c->other)
        c->other = other;
    if (c->n_frames == 0 || virus > c->virus)
        c->virus = virus;
    c->n_frames++;
}

bool aster_chunk_call_is_virus(const struct aster_chunk_call *c)
{
    return c->n_frames > 0 && c->virus >= c->other;
}

void aster_record_call_reset(struct aster_record_call *r, int64_t length)
{
    *r = (struct aster_record_call){.length = length, .virus = r->virus, .cap = r->cap};
}

void aster_record_call_free(struct aster_record_call *r)
{
    aster_free(&r->virus);
    *r = (struct aster_record_call){0};
}

int aster_record_call_add(struct aster_ctx *ctx, struct aster_record_call *r, struct aster_span at,
                          const struct aster_chunk_call *c)
{
    r->n_chunks++;
    r->n_frames += c->n_frames;
    r->n_failed += c->n_failed;
    if (c->n_frames == 0)
        return 0;
    r->most = r->n_judged ? fmax(r->most, (double)c->virus) : (double)c->virus;
    r->sum += (double)c->virus;
    r->n_judged++;
    if (!aster_chunk_call_is_virus(c))
        return 0;
    r->n_virus++;
    struct aster_span *last = r->n_spans ? &r->virus[r->n_spans - 1] : NULL;
    if (last && at.begin <= last->end) {
        last->end = aster_max64(last->end, at.end);
        return 0;
    }
    ASTER_TRY(aster_grow(ctx, r->n_spans + 1, sizeof *r->virus, &r->cap, &r->virus));
    r->virus[r->n_spans++] = at;
    return 0;
}

const char *aster_record_call_verdict(const struct aster_record_call *r,
                                      const struct aster_call_rule *rule)
{
    if (r->n_judged == 0)
        return "not_judged";
    bool virus = rule->by_mean ? r->sum / (double)r->n_judged >= rule->least
                               : r->n_virus > r->n_judged - r->n_virus;
    return virus ? "virus" : "other";
}
