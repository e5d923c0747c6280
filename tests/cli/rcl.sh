#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The loop pipelines from the command line: every file of a run, every kind of input, and what the reference's own programs
# print for a model that they trained.
src=$(cd "${srcdir:-.}" && pwd)
. "$src/tests/cli/tap.sh" || exit 1
data=$src/data/synthetic
shared=${ASTERISM_TEST_DATA:-$src/../shared/data}/rcl
cd "$work" || exit 1

files() { # files NAME FILE...: all are there and not empty
    local name=$1 missing=
    shift
    for f in "$@"; do
        [ -s "$f" ] || missing="$missing $f"
    done
    [ -z "$missing" ]
    ok $? "$name${missing:+: missing$missing}"
}

same() { # same EXPECTED FOUND NAME
    cmp -s "$1" "$2"
    ok $? "$3"
}

tables="train_serpin=$data/serpins_train.csv train_non_serpin=$data/negatives_train.csv"
tests="test_serpin=$data/serpins_test.csv test_non_serpin=$data/negatives_test.csv"
tiny="model=unet unet_base_filters=4 unet_depth=2 max_length=256"

# -- train
asterism run rcl-train $tables $tiny epochs=2 --out t
expect 0 "rcl-train"
files "its files" t/config.json t/best_model.h5 t/final_model.h5 t/checkpoint.h5 t/training_history.json t/history.csv t/loss_curves.svg \
    t/metric_curves.svg t/run.yaml t/pipeline.yaml t/report.html t/split.csv t/workers.csv t/tensorboard/events.out.tfevents.*
has "$err" "200 of 200 rows kept, 200 with a loop" "the tables are counted"
[ "$(grep -c , t/history.csv)" = 3 ] && [ "$(cut -d, -f1 t/history.csv | tail -n 2 | tr '\n' ' ')" = "1 2 " ]
ok $? "two epochs in history.csv"
[ "$(head -n 3 t/training_history.json | tr -d '\n' | tr -s ' ')" = "{ \"train_losses\": [ $(sed -n 2p t/history.csv | cut -d, -f2)," ]
ok $? "the same loss in training_history.json"
has t/config.json '"encoding": "onehot"' "config.json names the encoding"
[ "$(grep -c ',val,' t/split.csv)" = 82 ] && [ "$(grep -c ',train,' t/split.csv)" = 328 ]
ok $? "410 proteins are split 82 to 328: ceil of a fifth"
grep -qE '(src|href)=|url\(|@import' t/report.html
[ $? = 1 ]
ok $? "report.html needs nothing from outside"
rm t/report.html
asterism report t
expect 0 "report"
files "makes the page again" t/report.html

# -- the numbering of runs
for _ in 1 2 3; do
    asterism run rcl-validate --quiet files="$data/negatives_test.csv"
done
rmdir_me=runs/rcl-validate/run_002
rm -rf "$rmdir_me"
asterism run rcl-validate --quiet files="$data/negatives_test.csv"
[ -d runs/rcl-validate/run_004 ] && [ ! -e $rmdir_me ]
ok $? "after a deletion the next number follows the highest"

# -- evaluate
asterism run rcl-evaluate $tests model=t max_length=256 --out e
expect 0 "rcl-evaluate"
files "its files" e/metrics.json e/sequence_metrics.json e/predictions.csv e/error_counts.csv e/confusion_matrix.csv e/confusion_matrix.svg \
    e/error_histogram.svg
[ "$(wc -l <e/predictions.csv)" = 107 ]
ok $? "a row for each protein"
[ "$(awk -F, 'NR > 1 { n += $2 } END { print n }' e/error_counts.csv)" = 106 ]
ok $? "error_counts.csv counts each once"
has e/sequence_metrics.json '"num_true_rcl": 50' "loops and negatives are told apart"
asterism run rcl-evaluate test_serpin="$data/serpins_test.csv" model=t test_non_serpin= max_length=256 --out e2 --quiet
expect 0 "without negatives"

# -- predict: plain, gzip, standard input, one record per batch: the same rows
predict="rcl-predict model=t threshold=0.3 min_consecutive=2"
asterism run $predict input="$data/predict.fasta" annotated_fasta=true --out p
expect 0 "rcl-predict"
name=predict_onehot
files "its files" p/${name}_RCL_predictions_thr0p30.tsv p/${name}_all_thr0p30.csv p/${name}_annotated_thr0p30.fasta p/results.h5
[ "$(wc -l <p/${name}_all_thr0p30.csv)" = $(($(grep -c '^>' "$data/predict.fasta") + 1)) ]
ok $? "the CSV has every record"
{ cat "$data/predict.fasta"; echo ">long"; head -c 300 /dev/zero | tr '\0' A; echo; } >long.fasta
asterism run $predict input=long.fasta --out pl --quiet
expect 2 "a record longer than the model's length has no result"
grep -q "^long	" pl/failed_items.tsv
ok $? "failed_items.tsv names it"
gzip -c "$data/predict.fasta" >predict.fasta.gz
asterism run $predict input=predict.fasta.gz batch_size=1 shard_size=7 --out pz --quiet
same p/${name}_all_thr0p30.csv pz/${name}_all_thr0p30.csv "gzip, other batches and shards: the same rows"
"$ASTERISM" run $predict input=- --out ps --quiet <"$data/predict.fasta" >"$out" 2>"$err"
same p/${name}_all_thr0p30.csv ps/stdin_onehot_all_thr0p30.csv "the standard input: the same rows"
printf '>a\nmkv\n>b\nMKV*\n>\nMKV\n>c\r\nM K\tV\r\n' >odd.fasta
asterism run rcl-predict model=t input=odd.fasta strip_stop=true probabilities=true --out odd --quiet
expect 0 "lower case, a stop at the end, an empty header, blanks and CR"
[ "$(cut -d, -f2,7 odd/odd_onehot_all_thr0p50.csv | sed 1d | sort -u | wc -l)" = 1 ]
ok $? "are the same three residues"
printf '>a\n>b\n' >none.fasta
asterism run rcl-predict model=t input=none.fasta --out none
expect 1 "nothing that can be labelled"
has "$err" "none of its 2 sequences can be labelled" "is an error"
has none/failed_items.tsv "empty sequence" "with the reason of each"

# -- annotated FASTA as a table: what predict wrote is read again
asterism run rcl-evaluate model=t max_length=256 test_serpin=p/${name}_annotated_thr0p30.fasta test_non_serpin= threshold=0.3 min_consecutive=2 \
    --out ea
expect 0 "annotated FASTA as test table"
[ "$(awk -F, 'NR > 1 && $4 != $6' ea/predictions.csv | wc -l)" = 0 ]
ok $? "the model finds its own annotations"

# -- experiments and their summary
asterism run rcl-experiments $tables $tests encodings=onehot,blosum models=unet,cnn epochs=1 max_length=256 unet_base_filters=2 unet_depth=1 \
    cnn_channels=4 cnn_kernel_sizes=3 --out x --quiet
expect 0 "rcl-experiments"
files "its files" x/summary.csv x/summary.txt x/model_comparison.csv x/all_results_combined.svg x/{val,test}_{residue,sequence}_level.svg \
    x/{val,test}_{residue,sequence}_level_evaluation.{csv,txt} x/{onehot,blosum}_{unet,cnn}/{best_model.h5,training_history.json,loss_curves.svg}
[ "$(cut -d, -f1,2 x/summary.csv | tr '\n' ' ')" = "Encoding,Model onehot,CNN onehot,UNET blosum,CNN blosum,UNET " ]
ok $? "summary.csv is in the reference's order"
asterism run rcl-summary folder=x encodings=onehot,blosum models=cnn,unet --out s --quiet
same x/summary.csv s/summary.csv "rcl-summary makes the same table"

# -- residue vectors that do not fit, or are missing
asterism run rcl-train $tables encoding=esm2 --out n1
expect 1 "esm2 without residue vectors"
has "$err" "needs residue vectors made before; give precomputed=FILE" "says what to give"

# -- products of fewer bits: they learn as f32 does, and are not f32
small="model=cnn cnn_channels=16,8 cnn_kernel_sizes=9,5 max_length=256 learning_rate=0.01 epochs=6 patience=0 tensorboard=false"
for precision in f32 tf32 bf16; do
    asterism run rcl-train $tables $small precision=$precision --cpus 2 --out in_$precision --quiet
    expect 0 "in $precision"
    sed 1d in_$precision/history.csv | cut -d, -f7 | sort -g | tail -n 1 >f1_$precision
done
for precision in tf32 bf16; do
    awk -v f1="$(cat f1_$precision)" -v whole="$(cat f1_f32)" 'BEGIN { exit !(f1 > 0.45 && f1 > whole - 0.05 && f1 < whole + 0.05) }'
    ok $? "$precision: an F1 of $(cat f1_$precision) within 0.05 of f32's, $(cat f1_f32)"
    [ "$(cut -d, -f2,3 in_f32/history.csv)" != "$(cut -d, -f2,3 in_$precision/history.csv)" ]
    ok $? "$precision: by another way"
done
for precision in f32 bf16; do
    asterism run rcl-evaluate $tests model=in_f32 max_length=256 precision=$precision --out ev_$precision --quiet
    expect 0 "a model of f32 evaluated in $precision"
done
! cmp -s ev_f32/predictions.csv ev_bf16/predictions.csv
ok $? "with other probabilities"
paste ev_f32/metrics.json ev_bf16/metrics.json | awk -F'[: ,\t]+' '/"(f1|auc)"/ { n++; if (!($3 > 0 && $3 - $5 <= 0.02 && $5 - $3 <= 0.02)) bad = 1 } END { exit !(n == 2) || bad }'
ok $? "and an F1 and AUC within 0.02"
has in_bf16/config.json '"precision": "bf16"' "config.json names the precision"
asterism run rcl-train $tables $small precision=tf32 --resume --out in_bf16 --quiet
[ "$rc" = 1 ] && grep -q "begun with precision=bf16, now it is tf32" "$err"
ok $? "a run goes on in no other precision"

# -- check, without computing anything
asterism check rcl-train $tables $tiny
expect 0 "check rcl-train"
has "$out" "328 to train on, 82 to validate" "counts"
asterism check rcl-predict model=t
expect 0 "check rcl-predict"

# -- a stop request: the checkpoint is written, the run can go on
"$ASTERISM" run rcl-train $tables $tiny epochs=400 patience=0 --out stop >"$out" 2>"$err" </dev/null &
pid=$!
for _ in $(seq 1200); do
    [ -e stop/checkpoint.h5 ] && break
    sleep 0.05
done
kill -INT $pid
wait $pid
rc=$?
[ $rc != 0 ] && [ -s stop/checkpoint.h5 ]
ok $? "interrupted after a checkpoint"
has stop/run.yaml 'state: "stopped"' "run.yaml says so"

if [ ! -d "$shared/reference_model" ]; then
    skip "no reference data here: set ASTERISM_TEST_DATA"
    finish
    exit
fi

# -- what the reference prints for its own model
model=$shared/reference_model
input=$model/predict_input.fasta
asterism run rcl-predict model="$model" input="$input" seq_fasta=true rcl_fasta=true --out r5 --quiet
expect 2 "the reference's model: one record is too long"
asterism run rcl-predict model="$model" input="$input" seq_fasta=true rcl_fasta=true threshold=0.7 min_consecutive=5 min_rcl_length=20 --out r7 --quiet
for file in "$model"/expected_predict/*thr0p50*; do
    same "$file" "r5/$(basename "$file")" "$(basename "$file")"
done
for file in "$model"/expected_predict/*thr0p70*; do
    same "$file" "r7/$(basename "$file")" "$(basename "$file")"
done
asterism run rcl-evaluate model="$model" test_serpin="$shared/raw/Uniprot_Test_Set.csv" test_non_serpin= --out re --quiet
expect 0 "evaluate"
tr -d '\r' <"$model/expected_evaluate/error_counts.csv" >counts
same counts re/error_counts.csv "error_counts.csv"
cut -d, -f1-7,9 "$model/expected_evaluate/predictions.csv" | tr -d '\r' >rows
cut -d, -f1-7,9 re/predictions.csv | cmp -s - rows
ok $? "predictions.csv but for the confidence"
# close EXPECTED FOUND TOLERANCE: numbers line by line
close() {
    paste -d' ' "$1" "$2" | awk -v t="$3" '{ d = $1 - $2; if (!(d <= t && -d <= t)) bad = 1 } END { exit !(NR > 0) || bad }'
}
cut -d, -f8 "$model/expected_evaluate/predictions.csv" | sed 1d >c1
cut -d, -f8 re/predictions.csv | sed 1d >c2
close c1 c2 1e-5
ok $? "the confidence to 1e-5"
numbers() { grep -o ': [0-9.e-]*' "$1" | cut -c3-; }
numbers "$model/expected_evaluate/metrics.json" >m1
numbers re/metrics.json >m2
[ "$(wc -l <m1)" = 7 ] && close m1 m2 1e-9
ok $? "metrics.json"
sed '1s/[0-9]/&1/' m1 >m3
! close m1 m3 1e-9
ok $? "the comparison can fail"

# -- false alarms: the test set with the negatives that no training has seen
cut -d, -f1 "$shared/raw/non_serpin_train.csv" >seen
awk -F, 'NR == FNR { seen[$1] = 1; next } FNR == 1 || !($1 in seen)' seen "$shared/raw/non_serpin_test.csv" >unseen.csv
for k in 1 12; do
    asterism run rcl-evaluate model="$model" test_serpin="$shared/raw/Uniprot_Test_Set.csv" test_non_serpin=unseen.csv min_consecutive=$k --out rn$k --quiet
    expect 0 "evaluate with negatives, min_consecutive $k"
    sed -n "/test78_plus_nonserpin_test sequence_level min_consecutive=$k\"/,/}/p" "$model/expected_sequence_residue_metrics.json" | grep : | sed 1d >want
    good=0
    while IFS=': ,' read -r key value; do
        found=$(grep -F "$key:" rn$k/sequence_metrics.json | grep -o ': [0-9.e-]*' | cut -c3-)
        awk -v a="$value" -v b="$found" 'BEGIN { d = a - b; exit !(b != "" && d < 1e-9 && d > -1e-9) }' || { good=1; echo "# $key $value $found"; }
    done < <(sed 's/^ *//' want)
    [ -s want ]
    ok $((good + $?)) "its sequence metrics"
done

# -- cleaning, split and summaries of published data
asterism run rcl-summary folder="$shared/results/runs_A" --out sa --quiet
expect 0 "summary of the published runs"
tr -d '\r' <"$shared/results/summary.csv" >published
same published sa/summary.csv "summary.csv"
tr -d '\r' <"$shared/results/summary.txt" >published
same published sa/summary.txt "summary.txt"
for table in old_RCL_annotation_file:Alphafold_RCL_annotations Uniprot_Test_Set:Uniprot_Test_Set non_serpin_test:non_serpin_test \
    non_serpin_train:non_serpin_train; do
    asterism run rcl-validate files="$shared/raw/${table%:*}.csv" --out "v_${table%:*}" --quiet
    sed 1d "$shared/validation_reports/${table#*:}_validation_report.txt" | tr -d '\r' >want
    sed 1d "v_${table%:*}/${table%:*}_validation_report.txt" | cmp -s - want
    ok $? "the validation report of ${table%:*}"
done
finish
