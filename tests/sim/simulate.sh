#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Simulated machines obey laws: the same twice, half as fast on half the machine, never more than N times as fast on N workers.
src=$(cd "${srcdir:-.}" && pwd)
. "$src/tests/cli/tap.sh"
sim=${ASTERISM_SIM-}
[ -n "$sim" ] || sim=$(dirname "$ASTERISM")/asterism-sim
if [ ! -x "$sim" ]; then
    skip "no simulating program: neither ASTERISM_SIM nor $(basename "$sim") beside asterism"
    finish
    exit 0
fi
ASTERISM=$sim
draw=$(cd "${builddir:-.}" && pwd)/tests/random-language
cd "$work" || exit 1
machines=$src/data/machines
model="rcl-train cnn_channels=16,8 cnn_kernel_sizes=5,3 max_length=256 batch_size=64 shards=8"

# simulate FOLDER ARGS...; value KEY of the last one
simulate() {
    local folder=$1 bn=bn=local
    shift
    case $* in *bn=*) bn= ;; esac
    # shellcheck disable=SC2086
    asterism simulate $model $bn --steps 3 --warmup 1 --quiet --out "$folder" "$@"
}
value() { sed -n "s/^$1	//p" "$out"; }
compare() { # A OP B NAME, as numbers
    awk "BEGIN { exit !($1 $2 $3) }"
    ok $? "$4 ($1 $2 $3)"
}

simulate one --machine "$machines/h200x8-nvlink.yaml" --gpus 1 --cpus 2
expect 0 "one simulated GPU"
one=$(value samples_per_sec)
grep -v '^peak_mb' "$out" >first
[ "$(value complete)" = 1 ] && [ "$(value modelled)" = 1.000000 ]
ok $? "the result is complete, and says that nothing of it was measured"
simulate again --machine "$machines/h200x8-nvlink.yaml" --gpus 1 --cpus 2
grep -v '^peak_mb' "$out" | cmp -s - first
ok $? "the same bytes the second time"
for n in 2 4 8; do
    simulate "gpus$n" --machine "$machines/h200x8-nvlink.yaml" --gpus $n --cpus $n
    compare "$(value samples_per_sec)" '<=' "$n.001 * $one" "$n GPUs are at most $n times as fast"
    compare "$(value busy)" '<=' 1.000001 "and busy at most all of the time"
done

# shards are dealt to the GPUs, which the scheduler alone would not do with so short tasks
simulate dealt --machine "$machines/h200x8-nvlink.yaml" --gpus 8 --cpus 8 --trace bn=sync
[ "$(awk '$2 == "train" { print $1 }' dealt/trace.tsv | sort -u | wc -l)" = 8 ]
ok $? "every GPU has tasks of shards"
simulate free --machine "$machines/h200x8-nvlink.yaml" --gpus 8 --cpus 8 --trace bn=sync --free-placement
[ "$(awk '$2 == "train" { print $1 }' free/trace.tsv | sort -u | wc -l)" -ge 1 ]
ok $? "with --free-placement the scheduler decides"

# sums and updates by whole gradients, or by pieces that GPUs own
small=$model
model="rcl-train cnn_channels=512,256 cnn_kernel_sizes=9,9 max_length=256 batch_size=64 shards=8"
simulate tree --machine "$machines/h200x8-pcie.yaml" --gpus 8 --cpus 8 --reduction tree
tree=$(value samples_per_sec)
simulate pieces --machine "$machines/h200x8-pcie.yaml" --gpus 8 --cpus 8 --trace
compare "$(value samples_per_sec)" '>' "$tree" "eight GPUs that share sums and updates are faster"
[ "$(awk '$2 == "update" { print $1 }' pieces/trace.tsv | sort -u | wc -l)" = 8 ]
ok $? "each of them updates"
model=${model/shards=8/shards=16} # eight gradients of 5 MB on each GPU
sed 's/memory_gb: 141 .*/memory_gb: 0.1/' "$machines/h200x8-pcie.yaml" >little.yaml
simulate roomy --machine "$machines/h200x8-pcie.yaml" --gpus 2 --cpus 2 --trace --reduction pieces
[ "$(awk '$2 == "update" { print $1 }' roomy/trace.tsv | sort -u | wc -l)" = 2 ]
ok $? "pieces that are asked for"
simulate little --machine little.yaml --gpus 2 --cpus 2 --trace --reduction pieces
expect 0 "GPUs that pieces would take most of"
[ "$(awk '$2 == "update" { print $1 }' little/trace.tsv | sort -u | wc -l)" = 1 ]
ok $? "add whole gradients"
model=${model/shards=16/shards=8}
model=${model/512,256/128,128}
simulate small --machine "$machines/h200x8-pcie.yaml" --gpus 8 --cpus 8 --trace
[ "$(awk '$2 == "update" { print $1 }' small/trace.tsv | sort -u | wc -l)" -lt 8 ]
ok $? "with fewer parameters one does, which the links make faster"
model=$small
simulate none --machine "$machines/h200x8-nvlink.yaml" --gpus 8 --reduction ring
expect 1 "a way that does not exist"
has "$err" "reduction=ring: expected tree or pieces" "the message names those that do"
simulate both --machine "$machines/h200x8-nvlink.yaml" --gpus 8 --reduction pieces --free-placement
expect 1 "pieces, and shards that no GPU is the home of"
has "$err" "reduction=pieces needs shards that are dealt to the GPUs" "the message says what pieces need"

# two machines of CPU cores, one with half of everything
printf 'asterism: 1\nmachine: whole\ncpu: {cores: 8, gflops_f32: 20, gflops_f64: 10, bandwidth_gbs: 40, memory_gb: 64}\n' >whole.yaml
printf 'asterism: 1\nmachine: half\ncpu: {cores: 8, gflops_f32: 10, gflops_f64: 5, bandwidth_gbs: 20, memory_gb: 64}\n' >half.yaml
simulate whole1 --machine whole.yaml --cpus 1
whole=$(value samples_per_sec)
compare "$(value busy)" '>' 0.98 "one worker has nothing to wait for"
simulate half1 --machine half.yaml --cpus 1
compare "$(value samples_per_sec)" '<' "0.51 * $whole" "half the machine is half as fast"
compare "$(value samples_per_sec)" '>' "0.49 * $whole" "and not slower"
simulate whole4 --machine whole.yaml --cpus 4
compare "$(value samples_per_sec)" '<=' "4.001 * $whole" "four cores are at most four times as fast"
compare "$(value samples_per_sec)" '>' "3 * $whole" "and at least three times"

# measured times instead of the roofline: every task of half its time
awk 'BEGIN { OFS = "\t"; print "# asterism times 1"; print "# machine", "elsewhere"; print "device", "footprint", "mean_us", "n", "task"
             print "cpu", "0000000000000001", "10.0", 3, "train" }' >other.tsv
simulate times --machine whole.yaml --cpus 1 --times other.tsv
[ "$(value times_from)" = elsewhere ] && [ "$(value modelled)" = 1.000000 ]
ok $? "times of tasks that do not occur change nothing, and it says where they are from"
compare "$(value samples_per_sec)" '==' "$whole" "the rate neither"
sed 's/^cpu/tpu/' other.tsv >bad.tsv
simulate bad --machine whole.yaml --cpus 1 --times bad.tsv
expect 1 "a file of times with a mistake"
has "$err" "bad.tsv:4:" "its place is given"

# a training that reads vectors of an earlier stage: those are not computed, the steps are the same whatever the model is like inside
"$draw" esm2 esm layers=1 width=64 heads=2 inner=32 && "$draw" esm2 deep layers=3 width=64 heads=4 inner=48
ok $? "two models of one width"
awk 'BEGIN { print "id,Sequence,rcl_start,rcl_end"; for (i = 1; i <= 90; i++) { s = ""; for (k = 0; k < 9 + i; k++) s = s substr("LAGVSERTIDPKQ", 1 + (i * k) % 13, 1); print "p" i "," s ",3,7" } }' >table.csv
cat >fly.yaml <<'END'
asterism: 1
pipeline: fly
description: Embeds and trains in one run.
parameters:
  weights: {type: path, help: The language model.}
stages:
  table: {stage: read-table, file: table.csv, max_length: 128}
  esm2: {stage: load-language, weights: $weights}
  embed: {stage: embed, input: [table], language: esm2}
  split: {stage: split, from: [table]}
  train: {stage: train, data: split, embeddings: embed, encoding: esm2, batch_size: 16, shards: 4, cnn_channels: [4], cnn_kernel_sizes: [3], tensorboard: false}
END
for run in esm again deep; do
    weights=$([ $run = deep ] && echo deep || echo esm)
    asterism simulate fly.yaml weights=$weights --machine "$machines/h200x8-nvlink.yaml" --gpus 2 --cpus 2 --steps 3 --warmup 1 --quiet --out "fly_$run"
    expect 0 "embedding and training, $run"
    grep -v '^peak_mb' "$out" >"fly_$run.txt"
    [ "$(value complete)" = 1 ] && [ "$(value samples)" = 48 ] && [ ! -e "fly_$run/embeddings.h5" ] && cmp -s "fly_$run.txt" fly_esm.txt
    ok $? "all steps, no file of vectors, the same numbers"
done

# batches of a language model, whose weights need not be there
awk 'BEGIN { for (i = 1; i <= 40; i++) { s = ""; for (k = 0; k < 60 + 5 * i; k++) s = s substr("LAGVSERTIDPKQ", 1 + (i * k) % 13, 1); print ">p" i "\n" s } }' >some.fasta
embed() { # FOLDER ARGS...
    local folder=$1
    shift
    asterism simulate esm2-embed input=some.fasta "$@" --machine "$machines/h200x8-nvlink.yaml" --cpus 2 --steps 16 --warmup 4 --quiet --out "$folder"
}
embed drawn1 weights=drawn:35M token_budget=2048 --gpus 1
expect 0 "batches of an embedding"
one=$(value samples_per_sec)
[ "$(value complete)" = 1 ] && [ "$(value steps)" = 16 ] && [ ! -e drawn1/embeddings.h5 ]
ok $? "all of them are timed, and no vectors written"
grep -v '^peak_mb' "$out" >first
embed drawn1b weights=drawn:35M token_budget=2048 --gpus 1
grep -v '^peak_mb' "$out" | cmp -s - first
ok $? "the same bytes the second time"
embed drawn4 weights=drawn:35M token_budget=2048 --gpus 4
compare "$(value samples_per_sec)" '<=' "4.001 * $one" "four GPUs are at most four times as fast"
compare "$(value samples_per_sec)" '>' "2.5 * $one" "and share the batches"
embed esm_file weights=esm --gpus 1
expect 0 "the same with a file of weights"
embed drawn_none weights=drawn:7M --gpus 1
expect 1 "a size that does not exist"
has "$err" "drawn:8M, 35M, 150M, 650M, 3B or 15B" "the message names those that do"

# what does not fit
simulate many --machine "$machines/workstation-2gpu.yaml" --gpus 3
expect 1 "more GPUs than the machine has"
has "$err" "workstation-2gpu has 2 GPUs" "the message says how many"
simulate cores --machine whole.yaml --cpus 9
expect 1 "more cores than the machine has"
for f in "$machines"/*.yaml; do
    gpus=$(grep -c '^gpu:' "$f")
    simulate "all_$(basename "$f")" --machine "$f" --gpus "$gpus" --cpus 2
    expect 0 "$(basename "$f")"
done
asterism run rcl-train
expect 1 "the simulating program computes nothing"
has "$err" "simulating program" "and says so"
finish
