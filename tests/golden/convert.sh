#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Weight files of others, converted: the good ones of the shared test data hold the expected tensors afterwards too, and a language
# model's folder is one that pipelines take. Without shared data only drawn models.
: "${srcdir:=.}" "${builddir:=.}"
. "$srcdir/tests/lib/tap.sh"
program=${ASTERISM:-$builddir/asterism}
tests=$(cd "$builddir" && pwd)/tests
data=${ASTERISM_TEST_DATA:-$srcdir/../shared/data}/dnabert/weightfiles
test -d "$data" && data=$(cd "$data" && pwd)
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
convert() {
    "$program" convert "$@" >out 2>err
}
said() { # TEXT NAME: the last message has it
    grep -qF -- "$1" err
    report $? "$2"
}

mkdir a b
"$tests/random-language" dnabert dna
convert dna a/model.h5
report $? "a folder to HDF5"
cmp -s dna/config.json a/config.json && cmp -s dna/tokenizer.json a/tokenizer.json
report $? "with its configuration and tokenizer"
convert a b/model.safetensors
report $? "that folder to safetensors"
mkdir c d
convert b c/model.h5 && convert c d/model.safetensors && cmp -s b/model.safetensors d/model.safetensors
report $? "to HDF5 and back again: the same bytes"
"$tests/random-language" esm2 esm
! convert esm a/esm.h5
report $? "another model does not come beside it"
said "config.json: is there and belongs to another model" "and the message says why"
"$tests/random-forcefield" field.h5 mixing=isotropic cutoff_on=filter
convert field.h5 field.safetensors && convert field.safetensors back.h5 && convert back.h5 again.safetensors && cmp -s field.safetensors again.safetensors
report $? "a force field to safetensors and back: the same bytes"
printf '3\n\nO 0 0 0\nH 0.96 0 0\nH -0.24 0.93 0\n' >water.xyz
for w in field.h5 field.safetensors back.h5; do
    "$program" run mlff-evaluate weights="$w" input=water.xyz precision=f64 --quiet --out "run-$w" >out 2>err
done
test -s run-field.h5/energies.csv && cmp -s run-field.h5/energies.csv run-field.safetensors/energies.csv && cmp -s run-field.h5/energies.csv run-back.h5/energies.csv
report $? "with all that it says of itself: the same energies"
! convert field.h5 x.h5 --precision bf16
report $? "a force field in bf16"
said "field.h5: a force field is written as f32" "is refused"
! convert a/config.json x.h5
report $? "a text is no weights"
head -c 60000 a/model.h5 >cut.h5
! convert cut.h5 x.h5
report $? "nor is a cut file: $(cat err)"
: >empty.pt
! convert empty.pt x.h5
said "is an empty file" "nor an empty one"
convert dna half.h5 --precision bf16 --force && convert half.h5 half.safetensors --force
report $? "as bf16"
test "$(wc -c <half.safetensors)" -lt $(($(wc -c <dna/model.safetensors) * 2 / 3))
report $? "in fewer bytes"

if test ! -d "$data"; then
    skip "no shared weight files: $data is not there; ASTERISM_TEST_DATA names the folder of shared test data"
    finish
fi
# Not comparable afterwards: f16 becomes f32, and values beside tensors stay behind.
tab=$(printf '\t')
grep "${tab}good$tab" "$data/cases.tsv" | grep -Ev '^good/(esm_like|views|dtypes|scalars_empty|nested|st_dtypes|st_scalar_empty|st_no_tensors|sharded)' >good.tsv
for end in h5 safetensors; do
    mkdir $end
    ln -s "$data/expected.h5" $end
    head -n 1 "$data/cases.tsv" >$end/cases.tsv
    bad=
    while IFS=$tab read -r file rest; do
        test $end = h5 && case $file in *names_*) continue ;; esac # '/' in names
        name=$(basename "$file").$end
        convert --force "$data/$file" "$end/$name" || bad="$bad $file"
        printf '%s\t%s\n' "$name" "$rest" >>$end/cases.tsv
    done <good.tsv
    test -z "$bad"
    report $? "files of the shared data to .$end$bad"
    "$tests/golden-weightfiles" $end/cases.tsv >out
    report $? "the same tensors: $(tail -n 1 out)"
    grep WRONG out | sed 's/^/# /'
done
! convert "$data/good/st_names_utf8.safetensors" x.h5
said "which a dataset cannot have" "a name with a / is no dataset's"
! convert "$data/good/st_no_tensors.safetensors" x.h5
said "holds no tensors" "no tensors, no file"
convert "$data/good/esm_like.pt" fair.safetensors --force && grep -q '"num_hidden_layers"' config.json
report $? "what fair-esm says of its model is in a config.json"
finish
