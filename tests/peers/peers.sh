#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Our files read by h5py, safetensors, TensorBoard and ASE, and theirs and numpy's by ours. Needs pip and a package index.
builddir=${builddir:-.}
srcdir=${srcdir:-.}
venv=$builddir/peers-venv
PYTHONDONTWRITEBYTECODE=1
export PYTHONDONTWRITEBYTECODE
if ! "$srcdir/tests/peers/install.sh" "$builddir" >>"$builddir/peers-venv.log" 2>&1; then
    echo "1..0 # SKIP numpy, h5py, safetensors, tensorboard and ase cannot be installed with pip"
    exit 0
fi
dir=$(mktemp -d "${TMPDIR:-/tmp}/aster-peers-XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
"$venv/bin/python" "$srcdir/tests/peers/peers.py" "$builddir/tests/peers-files" "$dir" \
    "${ASTERISM:-$builddir/asterism}" "$builddir/tests/random-language" "$builddir/tests/random-forcefield" \
    "$srcdir/docs/examples" "$(cd "$builddir" && pwd)/libasterism.so" 2>"$dir/stderr"
status=$?
sed 's/^/# /' "$dir/stderr"
exit $status
