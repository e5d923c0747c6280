/* SPDX-License-Identifier: BSD-3-Clause */
/* A scaling study as JSON. */
#ifndef ASTER_FLOW_STUDY_JSON_H
#define ASTER_FLOW_STUDY_JSON_H

#include "flow/study.h"

void aster_study_json(const struct aster_study *s, const struct aster_study_row *rows,
                      struct aster_str *text);

#endif
