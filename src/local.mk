# SPDX-License-Identifier: BSD-3-Clause
include src/base/local.mk
include src/atoms/local.mk
include src/io/local.mk
include src/seq/local.mk
include src/program/local.mk
include src/runtime/local.mk
include src/model/local.mk
include src/train/local.mk
include src/flow/local.mk
include src/pipeline/local.mk
include src/cli/local.mk
