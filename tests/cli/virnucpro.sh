#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The virus pipeline with drawn models: scores and tables computed again, the same bytes however it is run or killed, what is
# broken named and the rest judged, files that do not fit refused. With ASTERISM_SHORT=1 one run.
src=$(cd "${srcdir:-.}" && pwd)
bin=$(cd "${builddir:-.}" && pwd)/tests
. "$src/tests/cli/tap.sh" || exit 1
shared=${ASTERISM_TEST_DATA:-$src/../shared/data}/virnucpro
cd "$work" || exit 1

# dna SEED COUNT MOST: records of 1 to MOST bases, in lines of 70
dna() {
    awk -v s="$1" -v count="$2" -v most="$3" 'function draw(n) { s = (s * 16807) % 2147483647; return int(s / 2147483647 * n) }
        BEGIN { for (i = 1; i <= count; i++) { n = 1 + draw(most); printf ">r%d of %d", i, count
            for (k = 0; k < n; k++) printf "%s%s", k % 70 ? "" : "\n", substr("ACGT", 1 + draw(4), 1); printf "\n" } }'
}
same() { # same FOLDER FOLDER NAME FILE...: these files have the same bytes
    local a=$1 b=$2 name=$3 differ=
    shift 3
    for f in "$@"; do
        [ -f "$a/$f" ] && cmp -s "$a/$f" "$b/$f" || differ="$differ $f"
    done
    [ -z "$differ" ]
    ok $? "$name${differ:+: not$differ}"
}
same_h5() { # same_h5 FOLDER FOLDER NAME: as same, of the contents of results.h5
    if command -v h5dump >/dev/null; then
        h5dump "$1/results.h5" | sed 1d >dump1
        h5dump "$2/results.h5" | sed 1d >dump2
        [ -s dump1 ] && cmp -s dump1 dump2
        ok $? "$3"
    else
        skip "results.h5: no h5dump here"
    fi
}
refused() { # refused NAME TEXT ARGUMENTS...: the run says so and leaves no folder
    local name=$1 text=$2
    shift 2
    asterism run virnucpro "$@" --out refused --quiet
    [ "$rc" = 1 ] && grep -qF -- "$text" "$err" && [ ! -e refused ]
    ok $? "refused: $name"
    rm -rf refused
}

"$bin/random-language" esm2 esm2 layers=2 width=24 heads=2 inner=48 seed=3 &&
    "$bin/random-language" dnabert dnabert layers=2 width=16 heads=2 inner=32 seed=4 &&
    "$bin/virnucpro-files" classifier c60.safetensors 40 12 13 60
ok $? "models are drawn"
dna 7 30 400 >in.fa
base="dnabert=dnabert esm2=esm2 model_type=custom"
models="model_path=c60.safetensors $base"
tables="prediction_results.txt prediction_results_highestscore.csv chunks.tsv records.tsv"
all="$tables in_chunked60.fa in_nucleotide.fa in_protein.faa"

# -- a run, and everything in it again
asterism check virnucpro input=in.fa $models
expect 0 "check"
has "$out" "the models fit the classifier" "says that all fits"
asterism run virnucpro input=in.fa $models part_size=40 keep_intermediate=true --out a
expect 0 "a run"
has "$err" "chunks of 60 bases" "the file's own length of chunks is taken"
"$bin/virnucpro-files" scores a in dnabert esm2 13 12 >"$out" 2>"$err"
ok $? "scores, each frame alone in double precision: $(cat "$out")"
awk -F'\t' -v OFS='\t' 'NR > 1 { c = substr($1, 1, length($1) - 2); if (!(c in o) || $3 > o[c] + 0) o[c] = $3
    if (!(c in v) || $4 > v[c] + 0) v[c] = $4 } END { for (c in o) print c, (v[c] + 0 >= o[c] + 0 ? "True" : "False") }' \
    a/prediction_results.txt | sort -t '	' -k1,1 >best
sed 1d a/prediction_results_highestscore.csv | cmp -s - best
ok $? "the table of chunks follows from that of frames, by name"
awk -F'\t' -v OFS='\t' 'NR > 1 { c = $1; sub(/_chunk_[0-9]*$/, "", c); if (!(c in n)) name[++k] = c; n[c]++
        if ($8 == "not_judged") next
        if (!j[c]++ || $7 > m[c]) m[c] = $7 + 0
        s[c] += $7
        if ($8 != "virus") next
        x[c]++
        if (x[c] > 1 && $2 - 1 <= to[c]) { if ($3 > to[c]) to[c] = $3 } else {
            if (x[c] > 1) iv[c] = iv[c] from[c] "-" to[c] ","
            from[c] = $2; to[c] = $3 } }
    END { for (i = 1; i <= k; i++) { c = name[i]; if (x[c]) iv[c] = iv[c] from[c] "-" to[c]
        print c, n[c], j[c] + 0, x[c] + 0, (j[c] ? sprintf("%.5f", s[c] / j[c]) : ""), (j[c] ? (2 * x[c] > j[c] ? "virus" : "other") : "not_judged"), iv[c] } }' \
    a/chunks.tsv >records
awk -F'\t' -v OFS='\t' 'NR > 1 { print $1, $3, $4, $5, ($8 == "" ? "" : sprintf("%.5f", $8)), $10, $11 }' a/records.tsv >found
cmp -s records found
ok $? "the table of records follows from that of chunks"
cut -f10 a/records.tsv | sort -u | tr '\n' ' ' | grep -q 'other .*virus' && grep -q ',.*-' <(cut -f11 a/records.tsv)
ok $? "both calls occur, and several intervals in one record"
[ "$(grep -c '^>' a/in_chunked60.fa)" = $(($(wc -l <a/chunks.tsv) - 1)) ] && [ "$(grep -c '^>' a/in_protein.faa)" = $(($(wc -l <a/prediction_results.txt) - 1)) ]
ok $? "as many chunks and frames in the FASTA files"
grep -q 'dnabert_sha256\|sha256' a/run.yaml && grep -q 'pipeline_hash' a/run.yaml
ok $? "run.yaml has the hashes"

if [ -n "${ASTERISM_SHORT-}" ]; then # slow programs
    finish
    exit 0
fi
# -- however it is run
asterism run virnucpro input=in.fa $models part_size=40 keep_intermediate=true dnabert_token_budget=64 esm2_token_budget=30 batch_size=5 --cpus 1 --out b --quiet
expect 0 "one worker, other budgets"
same a b "the same bytes" $all
same_h5 a b "the same results.h5"
asterism run virnucpro input=in.fa $models --out c --quiet
same a c "one part: the same tables" $tables
asterism run virnucpro input=in.fa $models --memory 2M --out c2 --quiet
expect 0 "in two megabytes"
same a c2 "the same tables" $tables
split=$(grep -n '^>' in.fa | awk -F: '$1 > 60 { print $1; exit }')
head -n $((split - 1)) in.fa | gzip >one.fa.gz && tail -n "+$split" in.fa >two.fa
asterism run virnucpro input=one.fa.gz,two.fa $models keep_intermediate=true --out d --quiet
expect 0 "two files, one of them packed"
same a d "the same tables" $tables
cat d/one_chunked60.fa d/two_chunked60.fa | cmp -s - a/in_chunked60.fa
ok $? "FASTA files of each input"
"$ASTERISM" run virnucpro input=- $models --out e --quiet <in.fa >"$out" 2>"$err"
same a e "the standard input: the same tables" $tables
asterism run virnucpro input=in.fa $models precision=f64 classifier_precision=f64 style=named call=mean call_threshold=0.4 --out f --quiet
expect 0 "in double precision"
[ "$(head -n 1 f/prediction_results.txt)" = "Sequence_ID	Prediction	p_other	p_virus" ]
ok $? "named columns"
paste a/prediction_results.txt f/prediction_results.txt | awk -F'\t' 'NR > 1 { d = $4 - $8; if ($1 != $5 || d * d > 1e-10) bad = 1 } END { exit bad }'
ok $? "the same scores within 1e-5"
awk -F'\t' 'NR > 1 && $8 != "" && ($8 >= 0.4) != ($10 == "virus") { bad = 1 } END { exit bad }' f/records.tsv
ok $? "records are called by their mean"
asterism run virnucpro input=in.fa $models style=reworked --out g --quiet
[ "$(cut -f1 g/prediction_results_highestscore.csv | sed 1d)" = "$(sed 1d g/prediction_results.txt | cut -f1 | sed 's/..$//' | uniq)" ]
ok $? "the reworked style keeps the order of the input"

# -- broken records, repeated ids, nothing at all
{ sed -n "1,$((split - 1))p" in.fa; printf '>bad\nACGT\nAC!T\n>\nACGT\n>empty\n'; tail -n "+$split" in.fa; } >broken.fa
asterism run virnucpro input=broken.fa $models --out h --quiet
expect 2 "broken records among good ones"
same a h "every good one is judged as before" prediction_results.txt prediction_results_highestscore.csv chunks.tsv
grep -vF -f <(sed 1d a/records.tsv) h/records.tsv | sed 1d | cut -f1,10 | tr '\t\n' ': ' >found
[ "$(cat found)" = "bad:not_judged line $((split + 3)):not_judged empty:not_judged " ]
ok $? "the broken ones are in the table of records"
has h/failed_items.tsv "broken.fa:$((split + 2)): record 'bad' has '!' at column 3" "named with file, line and column"
[ "$(wc -l <h/failed_items.tsv)" = 4 ] && [ "$(grep -c '^broken.fa|reading|broken.fa:' h/failed_files.txt)" = 3 ]
ok $? "each once in both lists"
asterism run virnucpro input=broken.fa $models any_letter=true --out h2 --quiet
[ "$(wc -l <h2/failed_items.tsv)" = 3 ] && grep -q '^bad	8	' h2/records.tsv
ok $? "any_letter takes odd letters for unknown bases"
{ cat in.fa; printf '>r2\nACGTACGT\n>r2#3\nACGTA\n>r2\nACG\n'; } >again.fa
asterism run virnucpro input=again.fa $models --out i --quiet
expect 0 "ids that come again"
[ "$(tail -n 3 i/records.tsv | cut -f1,2 | tr '\t\n' ': ')" = "r2#2:8 r2#3:5 r2#4:3 " ] && grep -q '^r2#2_chunk_1' i/chunks.tsv
ok $? "get numbers that make names of their own"
[ "$(sed 1d i/repeated_ids.tsv | cut -f1,2,4,6 | tr '\t\n' ': ')" = "r2:r2#2:$(($(wc -l <in.fa) + 1)):$(grep -n '^>r2 ' in.fa | cut -d: -f1) r2:r2#4:$(($(wc -l <in.fa) + 5)):$(grep -n '^>r2 ' in.fa | cut -d: -f1) " ]
ok $? "and a list of them"
: >none.fa
asterism run virnucpro input=none.fa $models --out j --quiet
expect 0 "no record"
[ "$(cat j/prediction_results.txt j/prediction_results_highestscore.csv j/chunks.tsv j/records.tsv | wc -l)" = 4 ]
ok $? "tables with their first lines only"
printf '>stops\nTTAATTAATTAATTAATTAA\n' >stops.fa
asterism run virnucpro input=stops.fa $models --out k
expect 0 "no frame"
has "$err" "nothing is judged" "is said"
grep -q 'not_judged	no open frame: ' k/chunks.tsv
ok $? "with the reason"

asterism run virnucpro-validate input=broken.fa,again.fa --out v
expect 2 "validation of bad files"
has "$err" "errors: 3 records not readable, 32 ids repeated" "counts them"
[ "$(grep -c '	error	' v/validation.tsv)" = 35 ] && grep -q "^again.fa	[0-9]*	r2	error	again.fa:[0-9]*: record 'r2' is there before: broken.fa:" v/validation.tsv
ok $? "names each with the place of the first"
printf '>n\nACGTNNNNACGT\n>m\nACGT\n' >n.fa
asterism run virnucpro-validate input=n.fa --out w
expect 0 "ambiguous bases"
has "$err" "record 'n' has 33.3 % ambiguous bases" "are a warning"
has "$err" "16, of a record 4 to 12, mean 8.0" "lengths"

# -- frames that fail in one model
mkdir nan && cp esm2/config.json nan && "$bin/virnucpro-files" poison esm2/model.safetensors nan/model.safetensors 22
asterism run virnucpro input=in.fa model_path=c60.safetensors dnabert=dnabert esm2=nan model_type=custom --out l --quiet
expect 2 "a model that gives no number for tryptophan"
awk '/^>/ { id = substr($1, 2); next } /W/ { print id }' a/in_protein.faa >with
sed 1d l/failed_items.tsv | cut -f1 | cmp -s - with && [ -s with ]
ok $? "its frames, and no others, failed: $(wc -l <with)"
grep -vwF -f with a/prediction_results.txt | cmp -s - l/prediction_results.txt
ok $? "all others have the scores that they had"
has l/failed_items.tsv "ESM-2: the result is not finite" "with model and reason"
awk -F'\t' 'NR > 1 && $5 > 0 && $4 > 0 && $9 == "some frames failed" { some = 1 } NR > 1 && $5 > 0 && $4 == 0 && $8 == "not_judged" { none = 1 } END { exit !some || !none }' l/chunks.tsv
ok $? "chunks are judged by their other frames, if there are any"
"$bin/virnucpro-files" poison esm2/model.safetensors nan/model.safetensors 0
head -n 40 in.fa >few.fa
asterism run virnucpro input=few.fa model_path=c60.safetensors dnabert=dnabert esm2=nan model_type=custom --out l2 --quiet
expect 2 "a model that gives no number at all"
cut -f1,9 l2/chunks.tsv | grep -c 'all open frames failed' >"$out"
[ "$(cat "$out")" -gt 5 ] && [ "$(wc -l <l2/prediction_results.txt)" = 1 ] && [ "$(sed 1d l2/failed_items.tsv | cut -f1 | uniq | wc -l)" = "$(($(wc -l <l2/failed_items.tsv) - 1))" ]
ok $? "every frame was tried alone and is listed once"
asterism run virnucpro input=in.fa $models dnabert_token_budget=12 --out m --quiet
same a m "a budget below what a frame needs changes nothing" prediction_results.txt

# -- what does not fit
"$bin/virnucpro-files" classifier 300_model.safetensors 40 12 13
"$bin/virnucpro-files" classifier wide.safetensors 41 12 5 60
refused "other chunks than the file says" "was trained on chunks of 60 bases (as it says), chunks of 500" input=in.fa model_path=c60.safetensors dnabert=dnabert esm2=esm2
refused "other chunks than its name says" "by its name" input=in.fa model_path=300_model.safetensors dnabert=dnabert esm2=esm2 expected_length=60
asterism run virnucpro input=in.fa model_path=300_model.safetensors dnabert=dnabert esm2=esm2 expected_length=60 force_length=true --out n --quiet
same a n "unless it is forced" prediction_results.txt
refused "another width" "takes 41 values, the models give 16" input=in.fa $base model_path=wide.safetensors
refused "models the wrong way round" "is expected" input=in.fa model_path=c60.safetensors dnabert=esm2 esm2=esm2 model_type=custom
refused "a classifier that is none" "has no tensor hidden_layer.weight" input=in.fa $base model_path=esm2/model.safetensors
refused "no weights" "nowhere.pth" input=in.fa $base model_path=nowhere.pth
refused "no input" "nowhere.fa" input=nowhere.fa $models
printf 'ACGT\n' >text.fa
asterism run virnucpro input=text.fa $models --out o --quiet
expect 1 "no FASTA"
has "$err" "text.fa:1" "with file and line"

# -- killed and resumed, with other workers and budgets
dna 11 200 300 >long.fa
long="input=long.fa $base part_size=32 keep_intermediate=true"
asterism run virnucpro $long model_path=c60.safetensors --out p --quiet
expect 0 "a longer run"
for how in 2:KILL 1:TERM 2:KILL; do
    cpus=${how%:*}
    "$ASTERISM" run virnucpro $long model_path=c60.safetensors esm2_token_budget=$((40 * cpus)) --cpus $cpus --out q --resume --quiet >"$out" 2>"$err" </dev/null &
    pid=$!
    had=$(wc -l 2>/dev/null <q/shards/judge/manifest.tsv || echo 0)
    for _ in $(seq 300); do
        [ "$(wc -l 2>/dev/null <q/shards/judge/manifest.tsv || echo 0)" -ge $((had + 3)) ] && break
        kill -0 $pid 2>/dev/null || break
        sleep 0.01
    done
    kill -${how#*:} $pid 2>/dev/null
    wait $pid 2>/dev/null
    rc=$?
    [ "$how" != 1:TERM ] && continue
    expect 1 "interrupted"
    has "$err" "stopped on request; --resume goes on" "says so"
done
[ -s q/shards/judge/manifest.tsv ]
ok $? "killed three times: $(wc -l 2>/dev/null <q/shards/judge/manifest.tsv) parts are committed"
"$bin/virnucpro-files" classifier other.safetensors 40 12 6 60
asterism run virnucpro $long model_path=other.safetensors --out q --resume --quiet
expect 1 "resumed with other weights"
has "$err" "was begun with model_path=c60.safetensors" "is refused"
cp long.fa kept.fa && printf '>late\nACGT\n' >>long.fa
asterism run virnucpro $long model_path=c60.safetensors --out q --resume --quiet
expect 1 "resumed with another input"
has "$err" "was begun with another pipeline file, program version or input files" "is refused"
mv kept.fa long.fa
asterism run virnucpro $long model_path=c60.safetensors --cpus 2 --out q --resume
expect 0 "resumed"
same_h5 p q "the same results.h5"
same p q "the same bytes" $tables long_chunked60.fa long_nucleotide.fa long_protein.faa
[ -z "$(find q -name '*.tmp')" ] && [ ! -e q/shards ] && diff <(ls p) <(ls q) >"$out"
ok $? "and nothing besides"

# -- a file that changes, or ends badly
cp long.fa changing.fa
"$ASTERISM" run virnucpro input=changing.fa $base part_size=16 model_path=c60.safetensors --out t --quiet >"$out" 2>"$err" </dev/null &
pid=$!
for _ in $(seq 300); do
    [ -s t/shards/judge/manifest.tsv ] && break
    sleep 0.01
done
printf '>late\nACGT\n' >>changing.fa
wait $pid
rc=$?
expect 1 "a file that changes under the run"
has "$err" "changing.fa: changed while it was read" "is said"
gzip -c long.fa | head -c 9000 >torn.fa.gz
asterism run virnucpro input=torn.fa.gz $base part_size=16 model_path=c60.safetensors --out u --quiet
expect 1 "a packed file that ends too early"
has "$err" "torn.fa.gz" "is named"
[ "$(wc -l <u/shards/judge/manifest.tsv)" -gt 1 ] && [ ! -e u/records.tsv ]
ok $? "what was judged before is kept for a resumed run"

# -- long: ASTERISM_KILLS kills at random moments (100), and ten thousand broken records among a hundred thousand
if [ -n "${ASTERISM_LONG-}${ASTERISM_KILLS-}" ]; then
    RANDOM=${ASTERISM_SEED:-$$}
    echo "# ASTERISM_SEED=${ASTERISM_SEED:-$$}"
    early=0
    for _ in $(seq "${ASTERISM_KILLS:-100}"); do
        [ -e r ] && grep -q '^state: "done"' r/run.yaml && rm -rf r && early=$((early + 1))
        "$ASTERISM" run virnucpro $long model_path=c60.safetensors esm2_token_budget=$((24 + RANDOM % 200)) --cpus $((1 + RANDOM % 2)) --out r --resume --quiet >"$out" 2>"$err" </dev/null &
        pid=$!
        sleep "$(awk -v r="$RANDOM" 'BEGIN { printf "%.3f", 0.02 + r / 32767 }')"
        kill -9 $pid 2>/dev/null
        wait $pid 2>/dev/null
    done
    asterism run virnucpro $long model_path=c60.safetensors --out r --resume --quiet
    expect 0 "killed at random and resumed, finished $early times before"
    same_h5 p r "the same results.h5"
    same p r "the same bytes" $tables long_chunked60.fa long_nucleotide.fa long_protein.faa
    dna 5 100000 50 | awk '/^>/ { n++; bad = n % 10 == 3 } !bad { print; next } /^>/ { print $1 "_bad"; next } { print substr($0, 2) "!" }' >many.fa
    awk '/^>/ { ok = !/_bad/ } ok' many.fa >good.fa
    asterism run virnucpro input=many.fa $models --out many --quiet
    expect 2 "ten thousand broken records among a hundred thousand"
    asterism run virnucpro input=good.fa $models --out good --quiet
    expect 0 "the good ones alone"
    same many good "every good one is judged" prediction_results.txt prediction_results_highestscore.csv chunks.tsv
    [ "$(sed 1d many/failed_items.tsv | grep -c '^r[0-9]*_bad	.*many.fa:[0-9]*: record ')" = 10000 ]
    ok $? "every broken one is named"
fi

# -- names and order of the reference's own results
if [ -d "$shared/fasta" ]; then
    "$bin/virnucpro-files" classifier 500_model.safetensors 40 12 5
    for name in test_with_orfs test_fixed_500bp; do
        asterism run virnucpro input="$shared/fasta/$name.fa" dnabert=dnabert esm2=esm2 model_path=500_model.safetensors keep_intermediate=true --out s_$name --quiet
        for pair in chunked500.fa:chunked500.fa nucleotide.fa:identified_nucleotide.fa protein.faa:identified_protein.faa; do
            [ -f "$shared/fasta/${name}_${pair#*:}" ] || continue
            cmp -s "s_$name/${name}_${pair%:*}" "$shared/fasta/${name}_${pair#*:}"
            ok $? "$name: ${pair#*:}, byte for byte"
        done
        for table in prediction_results.txt prediction_results_highestscore.csv; do
            diff <(cut -f1 "$shared/expected_pipeline/$name/vanilla/$table") <(cut -f1 "s_$name/$table") >"$out"
            ok $? "$name: rows of $table"
        done
    done
else
    skip "$shared is not there; ASTERISM_TEST_DATA names the folder of shared test data"
fi
finish
