#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Do random start, order and dropout of our training draw from the same distributions as PyTorch's?

Trains the same small tables with several seeds in both programs, one after the other, and compares each epoch's losses and score:
mean, standard deviation and Welch's t of the difference. |t| beyond 3 in several epochs would be a defect; one seed shows nothing.
"""
import argparse
import csv
import math
import pathlib
import statistics
import subprocess
import sys

COLUMNS = ("train_loss", "val_loss", "f1")


def arguments():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("asterism", help="program")
    a.add_argument("serpins")
    a.add_argument("negatives")
    a.add_argument("out", type=pathlib.Path, help="folder for tables and histories; histories already there are kept")
    a.add_argument("--model", default="cnn", choices=["cnn", "unet", "lstm"])
    a.add_argument("--rows", type=int, default=300, help="first rows of each table that fit")
    a.add_argument("--length", type=int, default=512)
    a.add_argument("--epochs", type=int, default=12)
    a.add_argument("--seeds", type=int, default=8)
    return a.parse_args()


def shorten(table, to, rows, length):
    with open(table, newline="") as f, open(to, "w", newline="") as g:
        reader = csv.DictReader(f)
        writer = csv.DictWriter(g, reader.fieldnames)
        writer.writeheader()
        kept = 0
        for row in reader:
            if kept < rows and 0 < len(row["Sequence"]) <= length:
                writer.writerow(row)
                kept += 1


def history(path):
    with open(path, newline="") as f:
        return [[float(row[c]) for c in COLUMNS] for row in csv.DictReader(f)]


def ours(a, tables, seed):
    run = a.out / f"ours-{a.model}-{seed}"
    if not (run / "history.csv").exists() or len(history(run / "history.csv")) < a.epochs:
        subprocess.run([a.asterism, "run", "rcl-train", f"model={a.model}", "encoding=blosum", f"train_serpin={tables[0]}",
                        f"train_non_serpin={tables[1]}", f"max_length={a.length}", f"epochs={a.epochs}", "patience=0", f"seed={seed}",
                        "scheduler=none", "--cpus", "1", "--resume", "--quiet", "--out", str(run)], check=True)
    return history(run / "history.csv")


def theirs(a, tables, seed):
    out = a.out / f"theirs-{a.model}-{seed}.csv"
    if not out.exists() or len(history(out)) < a.epochs:
        script = pathlib.Path(__file__).with_name("rcl_train.py")
        subprocess.run([sys.executable, str(script), *map(str, tables), "--model", a.model, "--encoding", "blosum", "--length",
                        str(a.length), "--epochs", str(a.epochs), "--patience", "0", "--no-schedule", "--seed", str(seed), "--out",
                        str(out)], check=True, stdout=subprocess.DEVNULL)
    return history(out)


def main():
    a = arguments()
    a.out.mkdir(parents=True, exist_ok=True)
    tables = (a.out / "serpins.csv", a.out / "negatives.csv")
    shorten(a.serpins, tables[0], a.rows, a.length)
    shorten(a.negatives, tables[1], a.rows, a.length)
    runs = [(ours(a, tables, seed), theirs(a, tables, seed)) for seed in range(1, a.seeds + 1)]
    print("epoch value ours sd theirs sd t")
    for epoch in range(a.epochs):
        for k, name in enumerate(COLUMNS):
            x, y = [r[0][epoch][k] for r in runs], [r[1][epoch][k] for r in runs]
            mean, sd = [statistics.mean(v) for v in (x, y)], [statistics.stdev(v) for v in (x, y)]
            error = math.sqrt((sd[0] ** 2 + sd[1] ** 2) / len(runs))
            t = (mean[0] - mean[1]) / error if error else 0.0
            print(f"{epoch + 1} {name} {mean[0]:.5f} {sd[0]:.5f} {mean[1]:.5f} {sd[1]:.5f} {t:+.2f}")
    best = [[max(e[2] for e in side) for side in r] for r in runs]
    print("best f1 per seed, ours:", *(f"{b[0]:.4f}" for b in best), "theirs:", *(f"{b[1]:.4f}" for b in best))
    return 0


sys.exit(main())
