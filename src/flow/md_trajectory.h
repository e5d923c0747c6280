/* SPDX-License-Identifier: BSD-3-Clause */
/* trajectory.h5: frames in the layout of data sets, and what is said of each. */
#ifndef ASTER_MD_TRAJECTORY_H
#define ASTER_MD_TRAJECTORY_H

#include "flow/md.h"

struct aster_md_about { /* a frame */
    int64_t copy, step;
    double time_ps, temperature;
    const double *virial; /* [9] */
};
struct aster_md_trajectory;
ASTER_CHECKED int aster_md_trajectory_new(const struct aster_run *run,
                                          struct aster_md_trajectory **out);
ASTER_CHECKED int aster_md_trajectory_add(struct aster_md_trajectory *t,
                                          const struct aster_structure *s,
                                          const struct aster_md_about *about);
/* devices: that computed it. The file is there afterwards. */
ASTER_CHECKED int aster_md_trajectory_finish(struct aster_md_trajectory *t,
                                             const struct aster_md_output *w, const char *devices);
void aster_md_trajectory_free(struct aster_md_trajectory **t);

#endif
