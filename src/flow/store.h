/* SPDX-License-Identifier: BSD-3-Clause */
/* Files of consecutive parts of a run, committed one at a time: only what the manifest names, with
 * the bytes that it had then, is trusted. */
#ifndef ASTER_STORE_H
#define ASTER_STORE_H

#include "flow/internal.h"

struct aster_store;
/* The folder <run>/shards/<stage>; parts committed by an earlier part of the run are known. */
ASTER_CHECKED int aster_store_open(struct aster_run *run, const char *stage,
                                   struct aster_store **out);
bool aster_store_has(struct aster_store *s, int64_t index);
/* write makes the file (aster_h5_commit or the like: whole or not there at all). Several threads
 * may put. */
ASTER_CHECKED int aster_store_put(struct aster_store *s, int64_t index,
                                  int (*write)(void *arg, const char *path), void *arg);
/* The path of a part that is there, the caller's to free. ASTER_EFORMAT when the file is not what
 * was committed. */
ASTER_CHECKED int aster_store_get(struct aster_store *s, int64_t index, char **path);
/* The same of a part that this process has got before: its bytes are not looked at again. */
ASTER_CHECKED int aster_store_path(struct aster_store *s, int64_t index, char **path);
int64_t aster_store_bytes(struct aster_store *s, int64_t index); /* 0 where there is none */
/* Whether there is a part and compare finds it to be what would be made anew, sets done; where it
 * cannot be read, which is warned of, it is not. */
ASTER_CHECKED int aster_store_compare(struct aster_store *s, int64_t index,
                                      int (*compare)(void *arg, const char *path, bool *done),
                                      void *arg, bool *done);
/* The part is no longer there, also for runs that go on later. */
ASTER_CHECKED int aster_store_forget(struct aster_store *s, int64_t index);
/* Whether a status is about what another memory limit or machine may have room for */
bool aster_store_try_again(int64_t status);
void aster_store_close(struct aster_store **s);
/* Removes all parts of a run; called when the files made of them are in place. */
void aster_store_remove_all(struct aster_run *run);

#endif
