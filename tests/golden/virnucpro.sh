#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Chunks, frames, ids, calls and formats of the shared reference results; and that damage to each of the files is noticed.
: "${srcdir:=.}" "${builddir:=.}"
. "$srcdir/tests/lib/tap.sh"
shared virnucpro/derived
data=$shared_data/virnucpro
program=$(cd "$builddir" && pwd)/tests/golden-virnucpro
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
"$program" "$data/derived" >out
report $? "$(tail -n 1 out)"
grep WRONG out | sed 's/^/# /'

mkdir -p copy/derived
ln -s "$data/fasta" "$data/real_dna" "$data/dnaberts" copy/
for path in "$data"/derived/*; do
    name=${path##*/}
    cp "$data"/derived/* copy/derived
    chmod u+w copy/derived/*
    head -c -2 "$path" >"copy/derived/$name"
    "$program" copy/derived >out
    test $? -eq 1 && grep -q WRONG out
    report $? "$name without its last two bytes"
done
cp "$data"/derived/* copy/derived
"$program" copy/derived/ >out
report $? "the copy itself: $(tail -n 1 out)"
for line in 's/\([0-9]\)$/\11/' 's/virus/others/'; do
    sed "3$line" "$data/derived/golden_scores.tsv" >copy/derived/golden_scores.tsv
    ! "$program" copy/derived >out
    report $? "another number or label in a table of scores"
done
rm copy/real_dna
ASTERISM_TEST_DATA=$dir "$program" copy/derived >out
test $? -eq 1 && grep -q 'workload_counts.tsv: WRONG' out
report $? "inputs that are not there"
mkdir empty
! "$program" empty >out
report $? "an empty folder fails"
! "$program" absent >out
report $? "an absent folder fails"
finish
