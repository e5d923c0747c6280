#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The generator writes the committed made-up proteins byte for byte, and notices a changed byte.
: "${srcdir:=.}" "${builddir:=.}"
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
n=0
failed=0
check() {
    n=$((n + 1))
    if "$@"; then
        echo "ok $n - $what"
    else
        echo "not ok $n - $what"
        failed=1
    fi
}
differs() {
    ! cmp -s "$1" "$2"
}
what="the generator runs"
check "$builddir/data/make-synthetic" "$dir"
for f in serpins_train.csv negatives_train.csv serpins_test.csv negatives_test.csv predict.fasta; do
    what="$f as committed"
    check cmp "$srcdir/data/synthetic/$f" "$dir/$f"
done
sed 's/SYNQ0007/SYNQ0008/' "$dir/predict.fasta" >"$dir/changed.fasta"
what="a changed byte is noticed"
check differs "$srcdir/data/synthetic/predict.fasta" "$dir/changed.fasta"
echo "1..$n"
exit $failed
