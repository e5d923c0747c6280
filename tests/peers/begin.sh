#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Begins to install what peers.sh needs: the first of all tests, so that the network is waited for beside the others.
builddir=${builddir:-.}
srcdir=${srcdir:-.}
"$srcdir/tests/peers/install.sh" "$builddir" </dev/null >"$builddir/peers-venv.log" 2>&1 &
echo "ok 1 - begun"
echo "1..1"
