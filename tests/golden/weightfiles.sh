#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The weight files of the shared test data, good, bad and doubtful; and that a wrong verdict or expectation is noticed.
: "${srcdir:=.}" "${builddir:=.}"
. "$srcdir/tests/lib/tap.sh"
shared dnabert/weightfiles
data=$shared_data/dnabert/weightfiles
program=$(cd "$builddir" && pwd)/tests/golden-weightfiles
# unlike WHAT SCRIPT LINES: of the table changed by a sed script that many lines do not agree, and the program fails
unlike() {
    sed "$2" "$data/cases.tsv" >cases.tsv
    "$program" cases.tsv >out
    test $? -eq 1 && test "$(grep -c WRONG out)" -eq "$3"
    report $? "$1"
}

dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
"$program" "$data/cases.tsv" >out
report $? "$(tail -n 1 out)"
grep WRONG out | sed 's/^/# /'
ln -s "$data/good" "$data/bad" "$data/either" "$data/expected.h5" .
tab=$(printf '\t')
unlike "a bad file that is called good" "s/^\(bad.st_no_dtype.safetensors$tab\)bad$tab-/\1good${tab}expected.h5:good|st_base.safetensors/" 1
unlike "a good file that is called bad" "s/^\(good.comment.pt$tab\)good/\1bad/" 1
unlike "other tensors" "s/good|parameters.pt/good|base.pt/" 1
unlike "other values" "s/good|nested.pt/good|esm_like.pt/" 1
unlike "a file that is not there" "s/^good.cuda.pt/good\/other.pt/" 1
unlike "an unknown verdict" "s/${tab}good$tab/${tab}fine$tab/" 0
finish
