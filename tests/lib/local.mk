# SPDX-License-Identifier: BSD-3-Clause
noinst_HEADERS += tests/lib/reals.h tests/lib/tap.h
EXTRA_DIST += tests/lib/tap.sh tests/lib/molecules.sh
