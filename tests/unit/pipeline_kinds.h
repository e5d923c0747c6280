/* SPDX-License-Identifier: BSD-3-Clause */
/* A few kinds of stage to try pipeline files on. */
#ifndef ASTER_TESTS_PIPELINE_KINDS_H
#define ASTER_TESTS_PIPELINE_KINDS_H

#include "pipeline/pipeline.h"

static const struct aster_opt source_opts[] = {
    {"file", ASTER_OPT_FILE, NULL, 0, 0, "-", "", "What to read."},
    {"second", ASTER_OPT_FILE, "", 0, 0, NULL, "", "Read as well."},
    {"limit", ASTER_OPT_INT, "10", 1, 100, NULL, "items", "At most so many."},
    {NULL, ASTER_OPT_STR, NULL, 0, 0, NULL, NULL, NULL}};
static const struct aster_opt work_opts[] = {
    {"from", ASTER_OPT_STAGES, NULL, 0, 0, "items", "", "What to work on."},
    {"extra", ASTER_OPT_STAGE, "", 0, 0, "items|models", "", "What else there is."},
    {"rate", ASTER_OPT_REAL, "0.5", 0, 1, NULL, "", "A share."},
    {"mode", ASTER_OPT_CHOICE, "fast", 0, 0, "fast|slow|careful", "", "How."},
    {"again", ASTER_OPT_BOOL, "false", 0, 0, NULL, "", "Twice."},
    {"sizes", ASTER_OPT_INTS, "3,2,1", 1, 9, NULL, "", "Some sizes."},
    {"weights", ASTER_OPT_REALS, "", 0, 0, NULL, "", "Some weights."},
    {"labels", ASTER_OPT_STRS, "a,b", 0, 0, NULL, "", "Some labels."},
    {"files", ASTER_OPT_FILES, "", 0, 0, NULL, "", "Some files."},
    {"title", ASTER_OPT_STR, "", 0, 0, NULL, "", "A title."},
    {"out", ASTER_OPT_PATH, "", 0, 0, NULL, "", "Where to."},
    {NULL, ASTER_OPT_STR, NULL, 0, 0, NULL, NULL, NULL}};
static const struct aster_opt build_opts[] = {
    {"seed", ASTER_OPT_INT, "1", 0, 9007199254740991.0, NULL, "", "Seed."},
    {"name", ASTER_OPT_STR, NULL, 0, 0, NULL, "", "A name that must be given."},
    {NULL, ASTER_OPT_STR, NULL, 0, 0, NULL, NULL, NULL}};
static const struct aster_opt sink_opts[] = {
    {"model", ASTER_OPT_STAGE, NULL, 0, 0, "models", "", "The model."},
    {NULL, ASTER_OPT_STR, NULL, 0, 0, NULL, NULL, NULL}};

static const struct aster_stage_kind test_kinds[] = {
    {"source", "items", "Reads.", source_opts, NULL, NULL},
    {"work", "items", "Works.", work_opts, NULL, NULL},
    {"build", "models", "Builds.", build_opts, NULL, NULL},
    {"sink", "none", "Ends.", sink_opts, NULL, NULL}};

static inline const struct aster_stage_kind *test_kind_at(int i)
{
    return &test_kinds[i];
}

static inline struct aster_kinds test_kinds_all(void)
{
    return (struct aster_kinds){(int)(sizeof test_kinds / sizeof *test_kinds), test_kind_at};
}

#endif
