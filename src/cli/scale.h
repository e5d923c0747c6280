/* SPDX-License-Identifier: BSD-3-Clause */
/* A scaling study as the command line asks for it, and its runs, each a process of its own. */
#ifndef ASTER_CLI_SCALE_H
#define ASTER_CLI_SCALE_H

#include "cli/cli.h"
#include "flow/study.h"
#include "runtime/sim.h"

enum { MAX_COUNTS = 64, MAX_WORKERS = 4096 };

struct scale {
    const struct aster_cli_args *args;
    struct aster_study study;
    int counts[MAX_COUNTS];
    struct aster_sim_machine machine;
    const char *simulate, *times, *out;
    char *simulator; /* NULL: there is none */
    char *inputs;    /* names and hashes of the files that the pipeline reads */
    char self[4096], folder[64];
    int64_t timeout;
};

/* One run with count workers; machine and times NULL: on this machine. kind: "", or "predicted_",
 * which is never kept from before. */
void scale_one_run(const struct scale *s, const char *program, int count, int run, const char *kind,
                   const char *machine, const char *times, struct aster_study_run *r);
/* A folder that holds another study, or this one without --resume, is left alone. */
ASTER_CHECKED int scale_claim_folder(const struct scale *s);
/* For --dry-run: the command of each run. */
void scale_print_commands(const struct scale *s);

#endif
