#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Studies on this machine: what is refused, the files of a small one, a run that fails, a simulation that ends without a result.
src=$(cd "${srcdir:-.}" && pwd)
. "$src/tests/cli/tap.sh"
unset ASTERISM_SIM
if [ ! -x "$ASTERISM" ]; then
    skip "this is the build of the simulating program"
    finish
    exit 0
fi
cd "$work" || exit 1
small="rcl-train cnn_channels=2 cnn_kernel_sizes=1 max_length=256 batch_size=8 shards=2 --steps 2 --warmup 1"

# what is refused
asterism scale rcl-train
expect 1 "neither --cpus nor --gpus"
has "$err" "one of --cpus" "the message says what is missing"
asterism scale rcl-train --cpus "1 two"
expect 1 "a list with a word in it"
has "$err" "found 'two'" "the word is named"
asterism scale rcl-train --cpus "1 4000"
expect 1 "more CPU workers than cores"
has "$err" "4000 CPU workers: this machine has $(getconf _NPROCESSORS_ONLN)" "the message counts both"
asterism scale rcl-train --gpus "64"
expect 1 "more GPUs than there are"
has "$err" "64 GPUs: this machine has" "the message says how many there are"
asterism scale rcl-train --gpus "1 9" --simulate "$src/data/machines/h200x8-nvlink.yaml"
expect 1 "more GPUs than the simulated machine has"
has "$err" "9 GPUs: h200x8-nvlink has 8" "the message names the machine"
asterism scale rcl-train --gpus 9 --simulate h200x8-nvlink
has "$err" "9 GPUs: h200x8-nvlink has 8" "a machine is found by its name"
asterism scale rcl-train --gpus 1 --simulate h300
expect 1 "a machine that does not exist"
has "$err" "no machine 'h300'" "the message says where it was looked for"
asterism scale rcl-train batch_sise=4 --cpus 1
expect 1 "a parameter that does not exist"
has "$err" "batch_size" "the nearest one is named"
for option in "--reduction pieces" --free-placement "--times t.tsv"; do
    # shellcheck disable=SC2086
    asterism scale rcl-train --cpus 1 $option --out none
    expect 1 "$option of this machine"
    has "$err" "${option%% *} goes with --simulate" "the message says what it belongs to"
done
asterism scale rcl-train --gpus 1 --simulate h200x8-nvlink --reduction peices --out none
expect 1 "a way of adding gradients that does not exist"
has "$err" "expected tree or pieces, found 'peices'" "the message names those that do"
asterism scale rcl-train --gpus 1 --simulate h200x8-nvlink --reduction pieces --free-placement --out none
expect 1 "pieces, and shards that no GPU is the home of"
has "$err" "leave out --free-placement" "the message says what to do"
asterism scale esm2-embed input="$src/data/synthetic/predict.fasta" weights=drawn:8M --cpus 1 --batch-per-worker 4 --out none
expect 1 "samples per worker of a pipeline without batches"
has "$err" "esm2-embed has no parameter batch_size" "the message says what it lacks"
asterism scale rcl-train --gpus "1 8" --simulate h200x8-nvlink --batch-per-worker 65536 --out none
expect 1 "a batch that grows beyond what batch_size takes"
has "$err" "batch_size" "the message names it"
[ ! -e none ]
ok $? "and no folder is made"
printf 'asterism: 1\nmachine: x\ncpu: {cores: none}\n' >bad.yaml
asterism scale rcl-train --cpus 1 --simulate bad.yaml
expect 1 "a machine file with mistakes"
has "$err" "bad.yaml:3:14:" "their places are given"
asterism simulate rcl-train --machine "$src/data/machines/cpu-node.yaml" --out none
if [ -x "$(dirname "$ASTERISM")/asterism-sim" ]; then
    skip "the simulating program is installed beside this one"
else
    has "$err" "the simulating program is missing" "without the simulating program it says how to get it"
fi

asterism scale virnucpro input="$src/README.md" model_path="$src/README.md" dnabert=. esm2=. --cpus 1 --out none
expect 1 "a pipeline without training"
has "$err" "no stage of the kind train or embed; only steps of a training" "the message says what is timed"
[ ! -e none ]
ok $? "and no folder is made"
# batches of a language model that is not there but for its size
drawn="esm2-embed input=$src/data/synthetic/predict.fasta weights=drawn:8M token_budget=256"
# shellcheck disable=SC2086
asterism calibrate $drawn --cpus 1 --gpus none --steps 2 --warmup 0 --out drawn
expect 0 "timed batches of drawn weights"
[ "$(sed -n 's/^steps\t//p' "$out")" = 2 ] && [ "$(sed -n 's/^samples\t//p' "$out")" -ge 2 ] && awk '$5 == "layer" { n++ } END { exit !n }' drawn/times.tsv
ok $? "two batches, and times of layers"
# shellcheck disable=SC2086
asterism run $drawn --cpus 1 --gpus none --out drawn_run
expect 1 "vectors of drawn weights"
has "$err" "gives no vectors" "the message says what they are for"
[ ! -e drawn_run ]
ok $? "and no folder is made"
# shellcheck disable=SC2086
asterism check $drawn
expect 1 "vectors of drawn weights, checked"
# shellcheck disable=SC2086
asterism scale $small --cpus 1 --runs 2 --out study
expect 0 "a small study"
for f in config.txt summary.txt summary.csv summary.json scaling.svg cpu1_run1.log cpu1_run2.log cpu1_run1/times.tsv; do
    [ -s "study/$f" ]
    ok $? "it writes $f"
done
[ "$(head -n 1 study/summary.csv | cut -d, -f1-4)" = num_gpus,batch_size,run,throughput_samples_per_sec ]
ok $? "the first columns of summary.csv"
[ "$(grep -c '^1,8,[12],[0-9.]*,.*,ok,' study/summary.csv)" = 2 ]
ok $? "a line for each run"
cmp -s study/summary.txt "$out"
ok $? "the summary is printed"
[ "$(sed -n 's/^loss\t//p' study/cpu1_run1.log)" = "$(sed -n 's/^loss\t//p' study/cpu1_run2.log)" ]
ok $? "both runs computed the same loss"
awk -F'\t' '!/^#/ && NR > 4 { if ($3 <= 0 || $4 < 1) exit 1; n++ } END { exit n < 4 }' study/cpu1_run1/times.tsv
ok $? "times of several kinds of task"

# shellcheck disable=SC2086
asterism scale $small --cpus 1 --out study
expect 1 "a folder that holds a study"
has "$err" "study already holds a study" "the message says what to do"
# one run is lost, one more is wanted
cp study/cpu1_run1.log kept.log
rm -r study/cpu1_run2.log study/summary.txt
echo broken >study/cpu1_run2/times.tsv
# shellcheck disable=SC2086
asterism scale $small --cpus 1 --runs 3 --out study --resume
expect 0 "it goes on with --resume"
cmp -s kept.log study/cpu1_run1.log
ok $? "a complete run is kept"
[ "$(grep -c '^1,8,[123],[0-9.]*,.*,ok,' study/summary.csv)" = 3 ] && ! grep -q broken study/cpu1_run2/times.tsv
ok $? "the others are done"
# shellcheck disable=SC2086
asterism scale $small learning_rate=0.5 --cpus 1 --out study --resume
expect 1 "other settings in the same folder"
has "$err" "other settings" "the message says so"
# shellcheck disable=SC2086
cp "$src/data/synthetic/serpins_train.csv" table.csv
# shellcheck disable=SC2086
asterism scale $small train_serpin=table.csv --cpus 1 --out tables && [ "$rc" = 0 ] && grep -q "^input table.csv $(sha256sum <table.csv | cut -c1-64)\$" tables/study.txt
ok $? "the hashes of data tables are in study.txt"
sed '2s/,.*//' table.csv >other.csv && mv other.csv table.csv
# shellcheck disable=SC2086
asterism scale $small train_serpin=table.csv --cpus 1 --out tables --resume
expect 1 "another table in the same folder"
has "$err" "other settings or files" "the message says so"
# shellcheck disable=SC2086
asterism scale $small "cnn_kernel_sizes=3" --cpus 1 --runs 2 --out "dry run's" --dry-run
expect 1 "a parameter given twice"
asterism scale rcl-train model=cnn --cpus 1 --runs 2 --out "dry run's" --dry-run
expect 0 "a dry run"
[ "$(grep -c " calibrate rcl-train model=cnn --cpus=1 .* '--out=dry run'.''s/cpu1_run[12]'$" "$out")" = 2 ] && [ ! -e "dry run's" ]
ok $? "it prints a command for each run and makes nothing"
# a simulation that deadlocks ends with status 0 and without a result
ASTERISM_SIM=/bin/true "$ASTERISM" scale rcl-train --gpus 1 --simulate "$src/data/machines/h200x8-nvlink.yaml" --out dead >"$out" 2>"$err"
rc=$?
expect 1 "a simulation without a result"
has "$out" "deadlock" "the summary says what that means"
# what a program prints before it fails is no result, also when the study is resumed
printf '#!/bin/sh\nprintf "samples_per_sec\\t100\\nsteps\\t2\\ncomplete\\t1\\n"\nexit 3\n' >liar
chmod +x liar
for resume in "" --resume; do
    # shellcheck disable=SC2086
    ASTERISM_SIM=$work/liar "$ASTERISM" scale rcl-train --gpus 1 --simulate "$src/data/machines/h200x8-nvlink.yaml" --out liar.d $resume >"$out" 2>"$err"
    rc=$?
    expect 1 "a run that fails after its result ${resume:-}"
done
mkdir -p other/cpu1_run1 && echo mine >other/cpu1_run1/thesis.txt
asterism scale rcl-train --cpus 1 --out other --resume
expect 1 "--resume where there is no study"
has "$err" "other holds no study to go on with" "the message says so"
[ "$(cat other/cpu1_run1/thesis.txt)" = mine ]
ok $? "what is there stays"
printf '#!/bin/sh\nexec sleep 60\n' >slow
chmod +x slow
ASTERISM_SIM=$work/slow "$ASTERISM" scale rcl-train --gpus 1 --simulate "$src/data/machines/h200x8-nvlink.yaml" --timeout 1 --out slow.d >"$out" 2>"$err"
rc=$?
expect 1 "a run that takes too long"
has "$out" "longer than 1 s" "the summary says so"
finish
