/* SPDX-License-Identifier: BSD-3-Clause */
/* How far results may be from a golden file. Stored tensors are float32, so that even exact ones
 * are off by 6e-8 relative. */
#ifndef ASTER_TESTS_RCL_LIMITS_H
#define ASTER_TESTS_RCL_LIMITS_H

/* double */
#define F64_LOGITS 1e-9 /* stored in double; sums in another order */
#define F64_LOSS   1e-11
/* three steps of Adam divide gradients of 1e-9 by themselves: rounding grows a thousandfold */
#define F64_LOGITS_AFTER 1e-7
#define F64_LOSS_AFTER   1e-9
#define F64_GRAD         1e-6 /* of the tensor's largest element: storage */
/* of the norm of the whole gradient: what is zero in theory (a bias before batch norm) is rounding
 * noise */
#define F64_GRAD_ZERO 1e-13
/* where the gradient decides Adam's direction; storage. Times the value where that is above 1. */
#define F64_STEP1 1.5e-7
#define F64_STEP3 1e-6
/* of steps times the rate, which Adam can hardly exceed; in both types */
#define BEYOND_REACH 1e-2
#define F64_METRIC   1e-6 /* probabilities enter the area under ROC as floats */
#define F64_LAW      1e-9 /* shards against the whole batch: sums in another order */

/* single: what float32 costs is measured in the file by a float32 run of the reference */
#define F32_LOGITS_TIMES  10
#define F32_LOGITS_FLOOR  1e-6
#define F32_LOSS          2e-6 /* relative */
#define F32_GRAD_TIMES    10   /* relative L2 of the whole gradient */
#define F32_GRAD_FLOOR    1e-5
#define F32_DECIDED       1e-4 /* step 1 is compared where |grad + decay w| is above this */
#define F32_STEP1         2e-7
#define F32_STEP1_OUTSIDE 1e-4 /* share of entries that may be off */
#define F32_UPDATE_TIMES  5    /* relative L2 of the update after step 3 */
#define F32_UPDATE_FLOOR  1e-2
#define F32_STATS_FLOOR   1e-6 /* running statistics after step 1, of the largest or of 1 */
/* Padding makes thousands of positions share one pre-activation; when that is within rounding of
 * zero, a ReLU switches for all of them. Convolutional models that pass in double may therefore
 * have: */
#define F32_PLATEAU_GRAD    2e-2
#define F32_PLATEAU_OUTSIDE 1e-2
/* a gradient 2e-2 off turns the sign, and so the whole step, of its small elements */
#define F32_PLATEAU_UPDATE 0.3
/* of the largest: running statistics follow that update through all layers */
#define F32_PLATEAU_STATS 0.1

#endif
