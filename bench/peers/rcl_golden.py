#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes a golden file of a labelling model with PyTorch: the layout that tests/golden-rcl reads, any size and seed.

Double precision is the truth, a single precision run says what float32 costs. Proteins are random letters.
"""
import argparse
import json
import math
import random
import sys

import h5py
import numpy as np
import torch

from rcl_torch import LETTERS, MODELS, loss_of

WRAP = (1 << 64) - 1


def arguments():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("out")
    a.add_argument("--model", choices=list(MODELS), required=True)
    a.add_argument("--config", default="{}", help='JSON of sizes, such as {"base_filters": 4, "depth": 2}')
    a.add_argument("--encoding", choices=["onehot", "normal"], default="onehot")
    a.add_argument("--dim", type=int, default=7, help="columns of the normal encoding")
    a.add_argument("--length", type=int, default=50)
    a.add_argument("--batch", type=int, default=4)
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--shards", help="sizes of the shards of group dp2, such as 2,1")
    a.add_argument("--sample", type=int, default=4096, help="tensors with more elements are stored as 1024 samples, but grads and weights "
                   "only with --sample-all")
    a.add_argument("--sample-all", action="store_true")
    return a.parse_args()


# ---- weights ------------------------------------------------------------------------------------------------------------------


def uniform(name, seed, n):
    """r(name, i) in [-1, 1): FNV-1a of the name, splitmix64 of the element."""
    h = 0xcbf29ce484222325
    for c in name.encode():
        h = (h ^ c) * 0x100000001b3 & WRAP
    base = np.uint64(h ^ seed * 0x9E3779B97F4A7C15 & WRAP)
    with np.errstate(over="ignore"):
        z = base + (np.arange(n, dtype=np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return ((z >> np.uint64(40)).astype(np.float64) * 2.0 ** -23 - 1).astype(np.float32)


def generate(model, kind, seed, scale):
    fan = {}
    for name, m in model.named_modules():
        if isinstance(m, (torch.nn.Conv1d, torch.nn.Linear)):
            fan[name] = m.weight[0].numel()
        elif isinstance(m, torch.nn.LSTM):
            fan[name] = m.hidden_size
    with torch.no_grad():
        for name, p in model.named_parameters():
            r = uniform(name, seed, p.numel())
            owner = name.rsplit(".", 1)[0]
            if owner in fan:
                v = np.float32(scale / math.sqrt(fan[owner])) * r
            elif name.endswith(".weight"):
                v = np.float32(1) + np.float32(0.25) * r
            else:
                v = np.float32(0.1) * r
            p.copy_(torch.tensor(v).reshape(p.shape))
        for name, b in model.named_buffers():
            if name.endswith("running_mean"):
                b.copy_(torch.tensor(np.float32(0.3) * uniform(name, seed, b.numel())))
            elif name.endswith("running_var"):
                b.copy_(torch.tensor(np.float32(1) + np.float32(0.4) * uniform(name, seed, b.numel())))


# ---- inputs -------------------------------------------------------------------------------------------------------------------


def inputs(args):
    rng = random.Random(args.seed)
    x = np.zeros((args.batch, args.length, len(LETTERS) if args.encoding == "onehot" else args.dim), np.float32)
    labels = np.full((args.batch, args.length, 2), 9999, np.float32)
    sequences, lengths, begins, ends = [], [], [], []
    for b in range(args.batch):
        n = args.length if b == 0 else rng.randint(args.length // 2 + 1, args.length)
        s = "".join(rng.choice("ACDEFGHIKLMNPQRSTVWYXU") for _ in range(n))
        loop = b != args.batch - 1 or args.batch == 1
        begin = rng.randint(0, n // 2) if loop else -1
        end = begin + rng.randint(1, n // 3) if loop else -1
        labels[b, :n] = [1, 0]
        if loop:
            labels[b, begin:end] = [0, 1]
        if args.encoding == "onehot":
            for t, c in enumerate(s):
                x[b, t, LETTERS.find(c) if c in LETTERS else LETTERS.index("X")] = 1
        else:
            x[b, :n] = np.random.default_rng(args.seed + b).standard_normal((n, args.dim))
        sequences.append(s.encode())
        lengths.append(n)
        begins.append(begin)
        ends.append(end)
    return x, labels, sequences, lengths, begins, ends


# ---- runs ---------------------------------------------------------------------------------------------------------------------


class Run:
    """The whole procedure in one dtype."""

    def __init__(self, args, kind, config, dtype, x, labels):
        torch.manual_seed(0)
        self.kind, self.dtype = kind, dtype
        self.model = MODELS[kind](x.shape[2], dropout=0, **config)
        generate(self.model, kind, args.seed, 2.0)
        self.model.to(dtype)
        self.x = torch.tensor(x).to(dtype)
        self.y = torch.tensor(np.where(labels[..., 0] == 9999, -1, labels[..., 1]).astype(np.int64))

    def logits(self, x):
        return self.model(x) if self.kind == "lstm" else self.model(x.transpose(1, 2)).transpose(1, 2)

    def evaluate(self):
        self.model.eval()
        with torch.no_grad():
            z = self.logits(self.x)
            return z, torch.softmax(z, -1), loss_of(z, self.y)

    def buffers(self):
        return {n: b.detach().clone() for n, b in self.model.named_buffers() if "num_batches" not in n}

    def state(self):
        return {**{n: p.detach().clone() for n, p in self.model.named_parameters()}, **self.buffers()}

    def gradient(self, shards=None):
        """Shards: each has its own statistics, the first one's update the running ones; the loss is that of the whole batch."""
        self.model.train()
        self.model.zero_grad(set_to_none=True)
        parts, kept = [], None
        for part in self.x.split(shards or [len(self.x)]):
            parts.append(self.logits(part))
            kept = kept or self.buffers()
        z = torch.cat(parts)
        loss = loss_of(z, self.y)
        loss.backward()
        return z.detach(), loss.detach(), {n: p.grad.detach().clone() for n, p in self.model.named_parameters()}, kept

    def restore(self, buffers):
        self.model.load_state_dict(buffers, strict=False)


def procedure(run, shards):
    r = {"start": run.state(), "eval": run.evaluate()}
    before = run.buffers()
    if shards:
        r["dp2"] = run.gradient(shards)
        run.restore(before)
    optimizer = torch.optim.Adam(run.model.parameters(), lr=1e-3, weight_decay=1e-4, foreach=False)
    r["losses"], r["step"] = [], {}
    for step in (1, 2, 3):
        z, loss, grads, _ = run.gradient()
        if step == 1:
            r["train"], r["grads"] = (z, loss), grads
        r["losses"].append(loss)
        optimizer.step()
        r["step"][step] = run.state()
    r["after"] = run.evaluate()
    return r


# ---- metrics: by definition ----------------------------------------------------------------------------------------------------


def metrics(probs, y):
    p, t = probs[..., 1][y >= 0], y[y >= 0]
    called = (p > 0.5).long()
    tp, fp = int(((called == 1) & (t == 1)).sum()), int(((called == 1) & (t == 0)).sum())
    fn, tn = int(((called == 0) & (t == 1)).sum()), int(((called == 0) & (t == 0)).sum())
    f1 = 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 0
    f0 = 2 * tn / (2 * tn + fp + fn) if tn + fp + fn else 0
    root = math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    pos, neg = p[t == 1].reshape(-1, 1), p[t == 0].reshape(1, -1)
    auc = float(((pos > neg).double() + 0.5 * (pos == neg).double()).mean()) if pos.numel() and neg.numel() else 0
    return {"accuracy": (tp + tn) / len(t), "precision": tp / (tp + fp) if tp + fp else 0, "recall": tp / (tp + fn) if tp + fn else 0,
            "f1": f1, "f1_macro": (f1 + f0) / 2, "mcc": (tp * tn - fp * fn) / root if root else 0, "auc": auc}


# ---- the file -------------------------------------------------------------------------------------------------------------------


def put(group, name, wide, narrow=None, limit=1 << 62):
    flat = wide.double().flatten().numpy()
    n = len(flat)
    sampled = n > limit
    stored = flat[np.arange(1024) * n // 1024] if sampled else wide.double().numpy()
    d = group.create_dataset(name, data=stored.astype(np.float32), **({"compression": 9, "shuffle": True} if stored.size > 256 else {}))
    d.attrs.update(sampled=int(sampled), n=n, shape=list(wide.shape), sum=flat.sum(), l2=math.sqrt((flat ** 2).sum()), max_abs=abs(flat).max())
    if narrow is not None:
        d.attrs["f32_max_abs_diff"] = float((wide - narrow.double()).abs().max())


def put_exact(group, name, wide, narrow):
    d = group.create_dataset(name, data=wide.numpy(), compression=9, shuffle=True)
    d.attrs["f32_max_abs_diff"] = float((wide - narrow.double()).abs().max())


def relative(wide, narrow, start=None):
    error = sum(float(((w - narrow[n].double()) ** 2).sum()) for n, w in wide.items())
    norm = sum(float(((w - (start[n] if start else 0)) ** 2).sum()) for n, w in wide.items())
    return math.sqrt(error / norm), math.sqrt(norm)


def write(args, f, config, data, wide, narrow, model):
    x, labels, sequences, lengths, begins, ends = data
    names = [n for n, _ in model.named_parameters()]
    texts = {"model": args.model, "encoding": args.encoding, "model_config": json.dumps(config), "parameter_order": "\n".join(names),
             "torch_version": torch.__version__, "note": "made by bench/peers/rcl_golden.py; proteins are random letters"}
    f.attrs.update({k: np.bytes_(v) for k, v in texts.items()})
    f.attrs.update(input_dim=x.shape[2], max_length=args.length, batch=args.batch, n_parameters=sum(p.numel() for p in model.parameters()), seed=args.seed,
                   bound_scale=2.0, learning_rate=1e-3, weight_decay=1e-4, adam_beta1=0.9, adam_beta2=0.999, adam_eps=1e-8,
                   loss_weights=[1.0, 5.0], well_conditioned_threshold=1e-5)
    g = f.create_group("inputs")
    g["sequences"], g["ids"] = np.array(sequences), np.array([b"R%d" % b for b in range(args.batch)])
    g["lengths"], g["rcl_start"], g["rcl_end"] = (np.array(v, np.int32) for v in (lengths, begins, ends))
    g.create_dataset("x", data=x, compression=9, shuffle=True)
    g.create_dataset("labels", data=labels, compression=9, shuffle=True)
    g.create_dataset("mask", data=(labels[..., 0] != 9999).astype(np.uint8), compression=9)
    small = args.sample if args.sample_all else 1 << 62
    for n in names:
        put(f.require_group("weights"), n, wide["start"][n], limit=small)
        put(f.require_group("grads"), n, wide["grads"][n], narrow["grads"][n], small)
    f["grads"].attrs["f32_rel_l2"], f["grads"].attrs["l2_all"] = relative(wide["grads"], narrow["grads"])
    f.create_group("buffers")
    for n in set(wide["start"]) - set(names):
        put(f["buffers"], n, wide["start"][n])
    for k in (1, 3):
        g = f.create_group(f"step{k}")
        for n, v in wide["step"][k].items():
            put(g, n, v, narrow["step"][k][n], args.sample)
        w = {n: wide["step"][k][n] for n in names}
        g.attrs["f32_update_rel_l2"], g.attrs["update_l2_all"] = relative(w, narrow["step"][k], wide["start"])
    o = f.create_group("outputs")
    put_exact(o, "logits_eval_f64", wide["eval"][0], narrow["eval"][0])
    put_exact(o, "probs_eval_f64", wide["eval"][1], narrow["eval"][1])
    put_exact(o, "logits_train_f64", wide["train"][0], narrow["train"][0])
    put_exact(o, "logits_eval_after3_f64", wide["after"][0], narrow["after"][0])
    for name, key, k in (("loss_eval", "eval", 2), ("loss_train", "train", 1), ("loss_eval_after3", "after", 2)):
        o[name + "_f64"], o[name + "_f32"] = float(wide[key][k]), np.float32(narrow[key][k])
    o["loss_steps_f64"] = np.array([float(v) for v in wide["losses"]])
    o["loss_steps_f32"] = np.array([float(v) for v in narrow["losses"]], np.float32)


def write_shards(args, f, shards, wide, narrow):
    g = f.create_group("dp2")
    z, loss, grads, buffers = wide["dp2"]
    g["shard_sizes"], g["loss_f64"], g["loss_f32"] = np.array(shards, np.int32), float(loss), np.float32(narrow["dp2"][1])
    g.create_dataset("logits_train_f64", data=z.numpy(), compression=9, shuffle=True)
    for n, v in grads.items():
        put(g.require_group("grads"), n, v, narrow["dp2"][2][n], args.sample)
    for n, v in buffers.items():
        put(g.require_group("buffers"), n, v, narrow["dp2"][3][n])


def main():
    args = arguments()
    torch.set_num_threads(1)
    config, data = json.loads(args.config), inputs(args)
    shards = [int(n) for n in args.shards.split(",")] if args.shards else None
    run = Run(args, args.model, config, torch.float64, *data[:2])
    wide = procedure(run, shards)
    narrow = procedure(Run(args, args.model, config, torch.float32, *data[:2]), shards)
    with h5py.File(args.out, "w", libver=("v108", "v108")) as f:
        write(args, f, config, data, wide, narrow, run.model)
        f["outputs"]["metrics_eval_json"] = np.bytes_(json.dumps(metrics(wide["eval"][1], run.y)))
        if shards:
            write_shards(args, f, shards, wide, narrow)
    return 0


if __name__ == "__main__":
    sys.exit(main())
