#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The generator writes the committed made-up proteins byte for byte, and notices a changed byte.
: "${srcdir:=.}" "${builddir:=.}"
. "$srcdir/tests/lib/tap.sh"
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
"$builddir/data/make-synthetic" "$dir"
report $? "the generator runs"
for f in serpins_train.csv negatives_train.csv serpins_test.csv negatives_test.csv predict.fasta; do
    cmp "$srcdir/data/synthetic/$f" "$dir/$f"
    report $? "$f as committed"
done
sed 's/SYNQ0007/SYNQ0008/' "$dir/predict.fasta" >"$dir/changed.fasta"
! cmp -s "$srcdir/data/synthetic/predict.fasta" "$dir/changed.fasta"
report $? "a changed byte is noticed"
finish
