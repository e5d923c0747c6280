/* SPDX-License-Identifier: BSD-3-Clause */
/* The parameters of a language model's blocks as buffers of tasks: all of them there, or a few that
 * take turns. */
#ifndef ASTER_BLOCK_WEIGHTS_H
#define ASTER_BLOCK_WEIGHTS_H

#include "flow/pretrained.h"
#include "runtime/runtime.h"

struct aster_block_weights;
/* program: by part of the model; those of blocks 0 .. n_blocks - 1 are there and outlive this. */
ASTER_CHECKED int aster_block_weights_new(struct aster_ctx *ctx, struct aster_runtime *rt,
                                          const struct aster_language_config *c, const char *path,
                                          struct aster_program *const *program, int64_t n_blocks,
                                          struct aster_block_weights **out);
const struct aster_pretrained *aster_block_weights_file(const struct aster_block_weights *w);
int64_t aster_block_weights_most(const struct aster_block_weights *w); /* bytes of a block */
int64_t aster_block_weights_bytes(const struct aster_block_weights *w, bool resident);
/* Once, before use. Resident: reads all blocks, in tasks. */
ASTER_CHECKED int aster_block_weights_start(struct aster_block_weights *w, bool resident);
/* The buffer of a block for tasks that are submitted next; another block's use may replace it then
 * for tasks submitted later. */
ASTER_CHECKED int aster_block_weights_use(struct aster_block_weights *w, int64_t block,
                                          const struct aster_buffer **out);
/* 0, or the code of the first read that failed: what was computed since does not count. */
int aster_block_weights_failed(const struct aster_block_weights *w);
void aster_block_weights_free(struct aster_block_weights **w); /* no task uses them any more */

#endif
