/* SPDX-License-Identifier: BSD-3-Clause */
/* What the LSTM kernels and the size of their workspace agree on. */
#ifndef ASTER_LSTM_H
#define ASTER_LSTM_H

/* samples whose product with one group is kept before gates are computed from it */
#define LSTM_ROWS      16
#define LSTM_MOST_VB   64 /* widest vector of any instruction set, bytes */
#define LSTM_MOST_VECS 4  /* widest group, vectors */

#endif
