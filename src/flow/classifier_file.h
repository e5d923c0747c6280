/* SPDX-License-Identifier: BSD-3-Clause */
/* The classifier's weights from safetensors or from the pickled module that is published. */
#ifndef ASTER_CLASSIFIER_FILE_H
#define ASTER_CLASSIFIER_FILE_H

#include "io/weightfile.h"
#include "model/classifier.h"

struct aster_classifier {
    struct aster_classifier_config config;
    enum aster_dtype real;
    struct aster_program *program;
    void *params;    /* PARAM of the program */
    double *buffers; /* BUFFER */
    char *path;
    int64_t chunk_length; /* that it was trained for; 0: the file does not say */
    bool by_name;         /* chunk_length follows from the name of the file only */
};
/* Every tensor of the file is one of the classifier's, with the shape that follows from the others,
 * and every value is finite. The chunk length is the metadata or value chunk_length (or
 * expected_length), else the number of a file's name 300_model or 500_model. */
ASTER_CHECKED int aster_classifier_open(struct aster_ctx *ctx, const char *path,
                                        enum aster_dtype real, struct aster_classifier **out);
/* The chunk length to use: wanted (0: the file's own, else 500) unless the file says another one
 * and force is not given. */
ASTER_CHECKED int aster_classifier_length(struct aster_ctx *ctx, const struct aster_classifier *c,
                                          int64_t wanted, bool force, int64_t *out);
void aster_classifier_free(struct aster_classifier **c);

#endif
