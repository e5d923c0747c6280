#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The scores of a virnucpro run computed again by others: ESM-2 of transformers, DNABERT-S and classifier in PyTorch, its tokens by
the tokenizers library. Usage: virnucpro_torch.py RUN DNABERT_FOLDER ESM2_FOLDER CLASSIFIER.safetensors

RUN was made with keep_intermediate=true and the first style of tables. Prints the largest difference of a score, and how many labels
differ; exit status 1 when a score is more than 1e-4 away or a row is missing.
"""
import csv
import json
import os
import pathlib
import sys

os.environ.setdefault("RCL_TORCH_ALLOCATOR", "as it is")
RUN, DNA, ESM, CLASSIFIER = map(pathlib.Path, sys.argv[1:5])
sys.argv = ["language_torch.py", str(DNA), os.devnull]

import torch  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402

import language_torch as language  # noqa: E402

RESIDUES = "LAGVSERTIDPKQNFYMHWCXBUZO.-"


def fasta(path):
    records, name = {}, None
    for line in path.read_text().splitlines():
        if line.startswith(">"):
            name = line[1:].split()[0]
            records[name] = ""
        else:
            records[name] += line
    return records


def only(pattern):
    found = sorted(RUN.glob(pattern))
    if len(found) != 1:
        sys.exit(f"{RUN}: {len(found)} files {pattern}, one is expected; was it run with keep_intermediate=true?")
    return found[0]


def score(w, x):
    y = w["hidden_layer.weight"] @ x + w["hidden_layer.bias"]
    y = (y - w["bn1.running_mean"]) / torch.sqrt(w["bn1.running_var"] + 1e-5) * w["bn1.weight"] + w["bn1.bias"]
    return torch.softmax(w["output_layer.weight"] @ torch.relu(y) + w["output_layer.bias"], 0)


def main():
    torch.set_grad_enabled(False)
    dna = language.Dnabert(DNA, json.loads((DNA / "config.json").read_text()))
    language.ARGS.folder = ESM
    esm = language.load(json.loads((ESM / "config.json").read_text()))
    tokenizer = Tokenizer.from_file(str(DNA / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    weights = load_file(CLASSIFIER)
    nucleotides, proteins = fasta(only("*_nucleotide.fa")), fasta(only("*_protein.faa"))
    with open(RUN / "prediction_results.txt", newline="") as f:
        rows = {r["Sequence_ID"]: r for r in csv.DictReader(f, delimiter="\t")}
    worst = labels = 0
    missing = set(nucleotides) ^ set(rows)
    for name, bases in nucleotides.items():
        ids = torch.tensor([tokenizer.encode(bases).ids])
        first = dna(ids, torch.ones_like(ids))[0].mean(0)
        ids = torch.tensor([[0] + [4 + RESIDUES.index(c) for c in proteins[name]] + [2]])
        second = esm(ids, torch.ones_like(ids))[0, 1:-1].mean(0)
        other, virus = map(float, score(weights, torch.cat([first, second])))
        row = rows.get(name, {"score1": "nan", "score2": "nan", "Prediction": ""})
        worst = max(worst, abs(other - float(row["score1"])), abs(virus - float(row["score2"])))
        labels += (row["Prediction"] == "virus") != (virus > other)
    print(f"{len(nucleotides)} frames, {len(missing)} missing; largest difference of a score {worst:.3g}; {labels} labels differ")
    return int(bool(missing) or not worst <= 1e-4)


sys.exit(main())
