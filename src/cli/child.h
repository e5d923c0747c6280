/* SPDX-License-Identifier: BSD-3-Clause */
/* Processes that scale starts, and what they leave behind. */
#ifndef ASTER_CLI_CHILD_H
#define ASTER_CLI_CHILD_H

#include "base/base.h"

/* Runs argv with both outputs in the file log; error is "" when it ended with status 0 in time. */
void aster_child_run(char *const *argv, const char *log, int64_t timeout_s, char *error,
                     size_t size);
/* The last line of a log that looks like an error, when there is one. */
void aster_child_last_error(const char *log, char *error, size_t size);
/* Takes away the folder of a run that was not finished, and all that is in it. */
ASTER_CHECKED int aster_child_clear(const char *folder);
void aster_child_dated(const char *prefix, char *out, size_t size); /* prefix20260131_235959 */

#endif
