# SPDX-License-Identifier: BSD-3-Clause
libaster_a_SOURCES += src/train/metric.c src/train/encoding.c src/train/plan_task.c src/train/plans.c src/train/predict.c src/train/schedule.c \
	src/train/model_text.c src/train/config_text.c src/train/tensors.c src/train/checkpoint.c src/train/weights.c src/train/trainer.c \
	src/train/step.c src/train/validation.c src/train/train.c src/train/learner.c src/train/gradients.c src/train/timed.c
noinst_HEADERS += src/train/train.h src/train/learner.h src/train/metric.h src/train/internal.h src/train/tensors.h src/train/trainer.h src/train/timed.h src/train/validation.h
