/* SPDX-License-Identifier: BSD-3-Clause */
/* What a simulation says of each copy and of the exchanges between them. */
#ifndef ASTER_MD_SUMMARY_H
#define ASTER_MD_SUMMARY_H

#include "flow/md.h"

/* The log of one copy */
struct aster_md_series {
    int64_t n, cap_time, cap_total, cap_potential, cap_kinetic;
    double *time, *total, *potential, *kinetic; /* ps, eV */
};
ASTER_CHECKED int aster_md_series_add(struct aster_ctx *ctx, struct aster_md_series *s, double time,
                                      const struct aster_md_sample *x);
void aster_md_series_free(struct aster_md_series *s);

struct aster_md_summary {
    struct aster_drift drift;
    double temperature, temperature_deviation, first, last, potential, kinetic;
    double correlation, conservation, r_squared; /* potential with kinetic; 1 - deviation / mean */
    bool passed;                                 /* the energy is kept, by the usual measures */
};
void aster_md_summary_of(const struct aster_md_series *s, const struct aster_md_copy *c,
                         struct aster_md_summary *out);
/* Heads and lines of copies.csv; an object of copies.json */
void aster_md_summary_head(struct aster_str *to);
void aster_md_summary_line(struct aster_str *to, const struct aster_md_options *o,
                           const struct aster_md_copy *c, const struct aster_md_series *s);
void aster_md_summary_json(struct aster_str *to, const struct aster_md_options *o,
                           const struct aster_md_copy *c, const struct aster_md_series *s);

/* Exchanges of all copies, by pairs of neighbouring temperatures */
struct aster_md_pairs {
    int64_t n_rungs;
    int64_t *tried, *taken; /* [n_rungs - 1] */
    int64_t *trips;         /* [n_rungs]: whole ways up and down again of the copies that began
                               there */
    int heading;            /* of the copy under way: 1 up, -1 down, 0 not known */
};
ASTER_CHECKED int aster_md_pairs_new(struct aster_ctx *ctx, int64_t n_rungs,
                                     struct aster_md_pairs *p);
void aster_md_pairs_add(struct aster_md_pairs *p, int64_t replica, const struct aster_md_kept *k);
void aster_md_pairs_text(const struct aster_md_pairs *p, const struct aster_md_options *o,
                         struct aster_str *to);
void aster_md_pairs_free(struct aster_md_pairs *p);

#endif
