#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# esm2-embed with drawn models: vectors against the model run alone in double, every policy, the same bytes whatever
# computes them, kills, mistakes, and trainings that read what it wrote; language-profile. With ASTERISM_SHORT=1 the begin of it.
src=$(cd "${srcdir:-.}" && pwd)
bin=$(cd "${builddir:-.}" && pwd)/tests
. "$src/tests/cli/tap.sh"
cd "$work" || exit 1

# sequences N LONGEST SEED: FASTA of N made-up proteins
sequences() {
    awk -v n="$1" -v longest="$2" -v seed="$3" 'BEGIN {
        srand(seed)
        for (i = 1; i <= n; i++) {
            line = ""
            for (k = 1 + int(rand() * longest); k > 0; k--)
                line = line substr("LAGVSERTIDPKQNFYMHWC", 1 + int(rand() * 20), 1)
            print ">s" seed "_" i " made up\n" line
        }
    }'
}

# checked NAME RUN ARGUMENTS...: the vectors of a run against the reference
checked() {
    local name=$1 run=$2
    shift 2
    "$bin/embed-check" esm input.fasta "$run" "$@" >"$out" 2>"$err"
    ok $? "$name$(sed -n 's/^# [0-9]* of [0-9]* records/: &/; s/: # /: /p' "$out")"
}

# refused TEXT NAME ARGUMENTS...: exit status 1, the text in the message, no folder
refused() {
    local text=$1 name=$2
    shift 2
    asterism run esm2-embed "$@" --out refused
    [ "$rc" = 1 ] && grep -qF -- "$text" "$err" && [ ! -e refused ]
    ok $? "$name"
    rm -rf refused
}

"$bin/random-language" esm2 esm layers=3 width=32 heads=4 inner=48 && "$bin/random-language" dnabert dna vocab=40
ok $? "models are drawn"

# lengths 1, 2, the limit and around it, more windows than two; small letters, odd ones, ids that come again, nothing
sequences 30 130 1 >input.fasta
for n in 1 2 47 63 64 65 66 104 105 144 145 300; do
    echo ">length_$n"
    head -c $n /dev/zero | tr '\0' 'M' | sed 's/MMM/MKV/g'
    echo
done >>input.fasta
printf '>empty\n>odd\nACJ1*x-.\n>small\nacdefghik\n>s1_1 again\nWWCC\n>length_1\nG\n>last\nMKLX' >>input.fasta

windows="over_length=windows max_length=64 overlap=24"
asterism run esm2-embed input=input.fasta weights=esm $windows layers=1,-1,0,3 format=both --cpus 1 --out windows --quiet
expect 2 "windows, three layers: one record is empty"
checked "windows, layers 0, 1 and 3" windows $windows layers=0,1,3 npz=yes
printf 'key\tstage\treason\nempty\tembed\tempty sequence\n' | cmp -s - windows/failed_items.tsv
ok $? "the empty record is listed, and nothing else"
"$bin/embed-check" esm input.fasta windows over_length=windows max_length=64 overlap=26 layers=0,1,3 >/dev/null
[ $? = 1 ]
ok $? "other windows are noticed"
"$bin/embed-check" esm input.fasta windows $windows layers=0,1,3 perturb=yes >/dev/null
[ $? = 1 ]
ok $? "a weight moved by 1% is noticed"

# -- profile
asterism run language-profile weights=esm sequences=9 length=30 min_batch=32 max_batch=96 step=32 --out profile --quiet
expect 0 "a profile"
grep -q '"max_batch_size": 96' profile/profile.json && grep -q '"throughput_curve": \[\[32, .*\[64, .*\[96, ' profile/profile.json && grep -q '"optimal_batch_size": 64' profile/profile.json
ok $? "has a line for each size, and advises 80 % of the largest"
asterism run language-profile weights=esm length=30 min_batch=8 max_batch=24 --out profile2 --quiet
has "$err" "max_batch is 24, the longest sequence has 32 tokens" "batches below a sequence measure nothing"
asterism run language-profile weights=esm min_batch=9 max_batch=8 --out profile3
has "$err" "the other way round" "least and most are in order"
if [ -n "${ASTERISM_SHORT-}" ]; then # slow programs
    finish
    exit 0
fi

asterism run esm2-embed input=input.fasta weights=esm $windows layers=0,1,3 format=both --cpus 2 token_budget=70 --out workers --quiet
expect 2 "two workers, small batches"
gzip -c input.fasta | "$ASTERISM" run esm2-embed input=- weights=esm/model.safetensors $windows layers=0,1,3 format=both \
    shard_size=256 token_budget=1 --out stdin --quiet >"$out" 2>"$err"
rc=$?
expect 2 "gzip from the standard input"
# the pipeline is the same but for the order of its layers, and its hash with it
same_bytes embeddings.npz windows workers stdin
same_bytes embeddings.h5 workers stdin

asterism run esm2-embed input=input.fasta weights=esm over_length=truncate max_length=64 unknown=x precision=f64 output=residues --cpus 1 --out cut --quiet
expect 2 "cut off, in double"
checked "cut off at 64, X for odd letters, f64" cut over_length=truncate max_length=64 unknown=x output=residues limit=1e-7
grep -q '12 of which the begin has vectors\|longer than max_length' cut/run.yaml
ok $? "run.yaml says that sequences were cut off"
asterism run esm2-embed input=input.fasta weights=esm max_length=64 unknown=error precision=bf16 output=mean layers=-2 --cpus 1 --out strict --quiet
expect 2 "strict, in bf16"
checked "nothing over 64, no odd letters, bf16, means of layer 2" strict max_length=64 unknown=error output=mean layers=2 limit=1.5e-2
[ "$(wc -l <strict/failed_items.tsv)" = "$(awk '/^>/ { k += n > 64 || odd; n = odd = 0; next } { n += length($0); odd = odd || /[J1*]/ } END { print k + (n > 64) + 2 }' input.fasta)" ]
ok $? "every record without vectors is listed"
has strict/failed_items.tsv "length_65	embed	65 residues, more than max_length = 64" "with its length"
has strict/failed_items.tsv "odd	embed	'J' at residue 3 is no letter of the model's" "or its letter"

# killed in the middle, resumed with other workers and batches
"$bin/random-language" esm2 slow layers=2 width=96 heads=4 inner=192
sequences 36 260 2 >input.fasta
slow="input=input.fasta weights=slow max_length=220 shard_size=3"
asterism run esm2-embed $slow --cpus 1 --out alone --quiet
expect 2 "many parts, left alone"
for parts in 2 5; do
    "$ASTERISM" run esm2-embed $slow --cpus 1 --memory $([ $parts = 2 ] && echo 1740K || echo 2G) token_budget=$((parts * 400)) --out killed --resume --quiet >"$out" 2>"$err" </dev/null &
    pid=$!
    while kill -0 $pid 2>/dev/null && [ "$(cat killed/shards/embed/manifest.tsv 2>/dev/null | wc -l)" -lt $parts ]; do
        sleep 0.005
    done
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null
    [ ! -e killed/embeddings.h5 ] && [ "$(wc -l <killed/shards/embed/manifest.tsv)" -ge $parts ]
    ok $? "killed after $parts parts"
    [ $parts = 5 ] || cp killed/failed_items.tsv short_of_memory.tsv
done
grep -qE '^s2_[0-9]+	embed	[0-9]+ residues at a time need [0-9.]+ MB; [0-9.]+ MB of the memory limit are free$' short_of_memory.tsv &&
    awk '/ MB;/ { sub(/.* need /, ""); if (!($1 + 0 > $3 + 0)) exit 1 }' short_of_memory.tsv
ok $? "without memory some have no vectors, and more would be needed than there is"
asterism run esm2-embed $slow --cpus 1 --memory 500K --out tight --quiet
[ "$rc" = 1 ] && grep -q 'vectors of two parts of the run take up to 0.5 MB, the memory limit is 0.5 MB; with a smaller shard_size' "$err"
ok $? "the vectors of open parts count"
asterism run esm2-embed $slow --cpus 2 --out killed --resume
expect 2 "resumed with two workers and another budget"
grep -q 'of 36 sequences were done before' "$err"
ok $? "what was there was not computed again"
same_bytes embeddings.h5 alone killed
same_bytes failed_items.tsv alone killed
asterism run esm2-embed $slow unknown=x --cpus 1 --out alone --resume
expect 1 "another option is another run"

# a model with a number that is none, for one letter: its sequences fail, and only they
"$bin/random-language" esm2 broken
at=$((8 + $(od -An -tu8 -N8 broken/model.safetensors) + 4 * (22 * 32 + 5))) # of W, id 22
printf '\000\000\300\177' | dd of=broken/model.safetensors bs=1 seek=$at conv=notrunc 2>/dev/null
asterism run esm2-embed input=input.fasta weights=broken max_length=400 --cpus 1 --out broken_run --quiet
expect 2 "a weight that is not a number"
{
    printf 'key\tstage\treason\n'
    awk '/^>/ { id = substr($1, 2); next } /W/ { print id "\tembed\tthe result is not finite" }' input.fasta
} | diff - broken_run/failed_items.tsv >"$out"
ok $? "the sequences that need it are listed, the others have vectors"

# stopped in order
"$ASTERISM" run esm2-embed $slow --cpus 1 --out stopped --quiet >"$out" 2>"$err" </dev/null &
pid=$!
while kill -0 $pid 2>/dev/null && [ "$(cat stopped/shards/embed/manifest.tsv 2>/dev/null | wc -l)" -lt 1 ]; do
    sleep 0.005
done
kill -INT $pid 2>/dev/null
wait $pid
rc=$?
[ "$rc" = 1 ] && [ ! -e stopped/embeddings.h5 ] && grep -q '^state: "stopped"' stopped/run.yaml
ok $? "stopped by a signal"
asterism run esm2-embed $slow --cpus 1 --out stopped --resume --quiet
expect 2 "and resumed"
same_bytes embeddings.h5 alone stopped

# mistakes, before there is a folder
refused "nowhere: there is no such file" "no weights" input=input.fasta weights=nowhere
refused "name a file of weights" "a folder without weights" input=input.fasta weights="$work/alone"
refused "is the configuration of DNABERT-S" "a model of DNA" input=input.fasta weights=dna
refused "layers: 4 is none of the model's: 0 (behind the embedding) to 3" "a layer that there is not" input=input.fasta weights=esm layers=4
refused "overlap = 64, expected fewer residues than max_length = 64" "windows that do not move" input=input.fasta weights=esm over_length=windows max_length=64 overlap=64
mkdir other && ln -s ../esm/model.safetensors other/ && sed 's/"num_hidden_layers": 3/"num_hidden_layers": 4/' esm/config.json >other/config.json
refused "there is no tensor 'encoder.layer.3." "another model's configuration" input=input.fasta weights=other
rm other/config.json
refused "a config.json is needed" "no configuration" input=input.fasta weights=other
asterism run esm2-embed input=input.fasta weights=other config=esm/config.json max_length=9 over_length=truncate output=mean --cpus 1 --out given --quiet
expect 0 "a configuration that is elsewhere"
asterism check esm2-embed input=input.fasta weights=esm
has "$out" "model (load-language): ESM-2, 3 layers of width 32, f32" "check says what the model is"
asterism check esm2-embed input=input.fasta weights=esm layers=7
expect 1 "check finds a wrong layer"
printf '>a\n\n>b\n' >nothing.fasta
asterism run esm2-embed input=nothing.fasta weights=esm --out nothing
expect 1 "nothing but empty records"
has "$err" "none of its 2 sequences has vectors" "is said"
: >none.fasta
asterism run esm2-embed input=none.fasta weights=esm --out none
expect 1 "a file without records"

# files of others
data=${ASTERISM_TEST_DATA:-$src/../shared/data}/esm2/models
if [ -d "$data/tiny" ]; then
    cp "$data/tiny/fair_esm.pt" alone.pt
    head -n 8 input.fasta >few.fasta
    asterism run esm2-embed input=few.fasta weights="$data/wide_bf16" max_length=400 --cpus 1 --out shards --quiet
    expect 0 "a folder with an index of shards"
    [ "$(grep -c 'model-0000[123]-of-00003' shards/run.yaml)" = 3 ]
    ok $? "run.yaml has the hash of each shard"
    asterism run esm2-embed input=few.fasta weights=alone.pt max_length=400 --cpus 1 --out fair --quiet
    expect 0 "a file of fair-esm"
    "$bin/embed-check" "$data/tiny" few.fasta fair max_length=400 >"$out"
    ok $? "is the same model as transformers has"
else
    skip "models of the shared test data: $data is not there"
fi

# RCL trainings read the file as it is, or the stage in the same run
"$bin/random-language" esm2 wide layers=1 width=1280 heads=20 inner=32
sequences 14 60 3 | sed 's/ made up//' >input.fasta
echo 'id,Sequence,rcl_start,rcl_end' >table.csv
sed 's/^>//' input.fasta | paste -d, - - | awk -F, 'length($2) > 8 { print $1 "," $2 ",3,7" }' >>table.csv
asterism run esm2-embed input=input.fasta weights=wide format=both --cpus 1 --out vectors --quiet
expect 0 "vectors of width 1280"
{
    echo ">long"
    head -c 90000 /dev/zero | tr '\0' A
    echo
    sequences 11 50 4
} >large.fasta
asterism run esm2-embed input=large.fasta weights=wide max_length=100000 format=npz --out large
[ "$rc" = 1 ] && grep -qF 'as .npz, 12 sequences padded to 90000 residues take 5.5 GB, 4.2 GB can be written' "$err"
ok $? "an npz that would be too large is refused before anything is computed"
train="train_serpin=table.csv train_non_serpin= encoding=esm2 epochs=2 max_length=64 model=cnn cnn_channels=4 cnn_kernel_sizes=3 tensorboard=false"
for store in h5 npz; do
    asterism run rcl-train $train precomputed=vectors/embeddings.$store --cpus 1 --out "train_$store" --quiet
    expect 0 "rcl-train with embeddings.$store"
done
cmp -s train_h5/training_history.json train_npz/training_history.json
ok $? "the same training from both"
printf '>more\nMKV\n' >more.fasta
cat >fly.yaml <<'END'
asterism: 1
pipeline: fly
description: Embeds and trains in one run.
stages:
  table: {stage: read-table, file: table.csv, max_length: 64}
  more: {stage: read-fasta, file: more.fasta}
  esm2: {stage: load-language, weights: wide}
  embed: {stage: embed, input: [more, table], language: esm2}
  split: {stage: split, from: [table]}
  train: {stage: train, data: split, embeddings: embed, encoding: esm2, epochs: 2, cnn_channels: [4], cnn_kernel_sizes: [3], tensorboard: false}
END
asterism check fly.yaml
has "$out" "cnn on esm2" "check knows the width of vectors that are not there yet"
asterism run fly.yaml --cpus 1 --out fly --quiet
expect 0 "embedding and training in one run"
cmp -s fly/training_history.json train_h5/training_history.json
ok $? "the same training again"
sed 's/language: esm2}/language: esm2, output: mean}/' fly.yaml >means.yaml
asterism run means.yaml --out refused
[ "$rc" = 1 ] && grep -qF 'stage train reads the vectors of stage embed' "$err" && [ ! -e refused ]
ok $? "means alone are no encoding"
asterism run rcl-train $train precomputed=strict/embeddings.h5 --cpus 1 --out refused
[ "$rc" = 1 ] && grep -q 'precomputed\|embeddings.h5' "$err"
ok $? "a file without residue vectors is refused by its name"
finish
