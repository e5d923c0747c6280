#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The same training in PyTorch, epoch by epoch: what scores its seeds reach, or from given weights the same losses as ours.

Reads the tables of rcl-train's parameters train_serpin and train_non_serpin, splits them as rcl-train does, and writes one line per
epoch. With --init, --no-dropout and a batch as large as the training part nothing random is left, and the losses can be compared.
"""
import argparse
import csv
import math
import sys
import time

import numpy as np
import torch

import rcl_torch as peer

MISSING = {"no result", "#value!", "nan", "no start", "no end", ""}


def arguments():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("serpins")
    a.add_argument("negatives")
    a.add_argument("--model", choices=list(peer.MODELS), default="cnn")
    a.add_argument("--encoding", choices=["onehot", "blosum"], default="onehot")
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--epochs", type=int, default=50)
    a.add_argument("--patience", type=int, default=5)
    a.add_argument("--batch", type=int, default=32)
    a.add_argument("--length", type=int, default=1024)
    a.add_argument("--threads", type=int, default=1)
    a.add_argument("--init", metavar="FILE.safetensors", help="initial weights (batch norms start anew)")
    a.add_argument("--no-dropout", action="store_true")
    a.add_argument("--no-schedule", action="store_true", help="keep the learning rate")
    a.add_argument("--f64", action="store_true")
    a.add_argument("--out", help="history as CSV")
    return a.parse_args()


def vectors(encoding):
    """Letter -> vector, and the vector of any other letter."""
    if encoding == "onehot":
        eye = np.eye(21)
        return dict(zip(peer.LETTERS, eye)), eye[20]
    from Bio.Align import substitution_matrices
    order = "ARNDCQEGHILKMFPSTWYV"
    table = substitution_matrices.load("BLOSUM62")
    rows = {a: np.array([float(table[a, b]) for b in order]) for a in order}
    return rows, np.mean(list(rows.values()), axis=0)


def bound(text):
    text = text.strip()
    return None if text.lower() in MISSING else int(text)


def read(path, length):
    proteins = []
    with open(path, newline="") as f:
        for row in csv.DictReader(f):
            s = row["Sequence"]
            if not s or len(s) > length:
                continue
            s, loop = s.strip(), None
            if "rcl_start" in row:
                start, end = bound(row["rcl_start"]), bound(row["rcl_end"])
                if start is None or end is None or not 0 <= start - 1 < end <= len(s):
                    continue
                loop = (start - 1, end)
            proteins.append((s, loop))
    return proteins


def split(n, seed=42, share=0.8):
    """The permutation of a Mersenne twister; numpy's legacy generator draws the same one."""
    p, held_out = np.random.RandomState(seed).permutation(n), math.ceil((1 - share) * n)
    return p[held_out:], p[:held_out]


class Data:
    def __init__(self, proteins, encoding, length, dtype):
        self.proteins, self.length, self.dtype = proteins, length, dtype
        self.rows, self.other = vectors(encoding)

    def batch(self, which):
        x = np.zeros((len(which), self.length, len(self.other)))
        y = np.full((len(which), self.length), -1)
        for b, i in enumerate(which):
            s, loop = self.proteins[i]
            x[b, :len(s)] = [self.rows.get(c, self.other) for c in s]
            y[b, :len(s)] = 0
            if loop:
                y[b, loop[0]:loop[1]] = 1
        return torch.tensor(x, dtype=self.dtype), torch.tensor(y)


def first_weights(model, path):
    from safetensors.torch import load_file
    given = load_file(path)
    state = model.state_dict()
    for name in state:
        if "running_" not in name and "num_batches" not in name:
            state[name] = given[name].to(state[name].dtype).reshape(state[name].shape)
    model.load_state_dict(state)


def main():
    a = arguments()
    torch.set_num_threads(a.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(a.seed)
    rng = np.random.default_rng(a.seed)
    dtype = torch.float64 if a.f64 else torch.float32
    proteins = read(a.serpins, a.length) + read(a.negatives, a.length)
    data = Data(proteins, a.encoding, a.length, dtype)
    model = peer.MODELS[a.model](len(data.other), **({"dropout": 0.0} if a.no_dropout else {})).to(dtype)
    if a.init:
        first_weights(model, a.init)
    images = a.model != "lstm"
    if images:
        model = peer.as_images(model)

    def logits(x):
        if not images:
            return model(x)
        x = x.transpose(1, 2).unsqueeze(2).contiguous(memory_format=torch.channels_last)
        return model(x).squeeze(2).transpose(1, 2)

    adam = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-4)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(adam, mode="max", factor=0.5, patience=a.patience // 2)
    train, held_out = split(len(proteins))
    print(f"{len(proteins)} proteins: {len(train)} to train, {len(held_out)} to validate", flush=True)
    out = open(a.out, "w") if a.out else sys.stdout
    print("epoch,train_loss,val_loss,precision,recall,f1,lr,seconds", file=out, flush=True)
    best, bad = 0.0, 0
    for epoch in range(1, a.epochs + 1):
        start, losses, val = time.time(), [], []
        model.train()
        order = rng.permutation(train)
        for i in range(0, len(order), a.batch):
            x, y = data.batch(order[i:i + a.batch])
            adam.zero_grad(set_to_none=True)
            loss = peer.loss_of(logits(x), y)
            loss.backward()
            adam.step()
            losses.append(loss.item())
        model.eval()
        tp = fp = fn = 0
        with torch.inference_mode():
            for i in range(0, len(held_out), a.batch):
                x, y = data.batch(held_out[i:i + a.batch])
                z = logits(x)
                val.append(peer.loss_of(z, y).item())
                said = (z[..., 1] > z[..., 0]) & (y >= 0)
                tp += int((said & (y == 1)).sum())
                fp += int((said & (y == 0)).sum())
                fn += int((~said & (y == 1)).sum())
        f1, rate = 2 * tp / max(1, 2 * tp + fp + fn), adam.param_groups[0]["lr"]
        if not a.no_schedule:
            plateau.step(f1)
        print(f"{epoch},{np.mean(losses):.12g},{np.mean(val):.12g},{tp / max(1, tp + fp):.6f},{tp / max(1, tp + fn):.6f},{f1:.12g},"
              f"{rate:g},{time.time() - start:.0f}", file=out, flush=True)
        best, bad = (f1, 0) if f1 > best else (best, bad + 1)
        if a.patience and bad >= a.patience:
            break
    return 0


sys.exit(main())
