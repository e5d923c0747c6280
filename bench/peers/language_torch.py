#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""ESM-2 of transformers, and DNABERT-S in plain PyTorch, over sequences of given lengths: the work of bench-language.

Reads the same model folder (config.json, model.safetensors), draws the same tokens, batches sequences sorted by length and padded,
with the best of several token budgets (tried on a few sequences and the first layers), and prints one JSON line. --means FILE writes mean vectors, or with --compare measures how
far those of bench-language are away.
"""
import argparse
import json
import math
import os
import pathlib
import sys
import time

from rcl_torch import keep_memory


def arguments():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("folder", type=pathlib.Path)
    a.add_argument("lengths")
    a.add_argument("--threads", type=int, default=1)
    a.add_argument("--budgets", default="512,1024,2048,4096", help="tokens of a batch, padding included")
    a.add_argument("--attention", default="sdpa", choices=["sdpa", "eager"])
    a.add_argument("--bf16", action="store_true")
    a.add_argument("--compare", metavar="FILE", help="means that bench-language wrote")
    return a.parse_args()


ARGS = arguments()
keep_memory()

import numpy as np  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402


class Dnabert(torch.nn.Module):
    """Norms behind attention and gated product; a penalty per position of distance instead of position vectors."""

    def __init__(self, folder, config):
        super().__init__()
        from safetensors.torch import load_file
        weights = load_file(folder / "model.safetensors")
        self.t = {k.removeprefix("bert."): v for k, v in weights.items()}
        self.all_layers = self.layers = config["num_hidden_layers"]
        self.heads = config["num_attention_heads"]
        self.eps = config.get("layer_norm_eps", 1e-12)
        n = 2 ** int(math.log2(self.heads))
        slopes = [2 ** (-8 * (k + 1) / n) for k in range(n)]
        slopes += [2 ** (-8 * (2 * k + 1) / (2 * n)) for k in range(self.heads - n)]
        self.slopes = torch.tensor(slopes)

    def first(self, layers):
        self.layers = min(layers, self.all_layers)

    def norm(self, x, name):
        return F.layer_norm(x, x.shape[-1:], self.t[name + ".weight"].to(x.dtype), self.t[name + ".bias"].to(x.dtype), self.eps)

    def linear(self, x, name):
        return F.linear(x, self.t[name + ".weight"], self.t.get(name + ".bias"))

    def forward(self, ids, mask):
        x = self.t["embeddings.word_embeddings.weight"][ids] + self.t["embeddings.token_type_embeddings.weight"][0]
        x = self.norm(x, "embeddings.LayerNorm")
        batch, length, width = x.shape
        place = torch.arange(length)
        bias = -self.slopes[:, None, None] * (place[None, :] - place[:, None]).abs()
        bias = (bias[None] + (1.0 - mask[:, None, None, :].float()) * -1e4).to(x.dtype)
        for k in range(self.layers):
            at = f"encoder.layer.{k}."
            q, key, v = self.linear(x, at + "attention.self.Wqkv").view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
            a = F.scaled_dot_product_attention(q, key, v, attn_mask=bias).transpose(1, 2).reshape(batch, length, width)
            x = self.norm(x + self.linear(a, at + "attention.output.dense"), at + "attention.output.LayerNorm")
            g = self.linear(x, at + "mlp.gated_layers")
            half = g.shape[-1] // 2
            x = self.norm(x + self.linear(F.gelu(g[..., :half]) * g[..., half:], at + "mlp.wo"), at + "mlp.layernorm")
        return x


class Esm:
    def __init__(self, folder):
        from transformers import EsmModel
        self.model = EsmModel.from_pretrained(folder, add_pooling_layer=False, attn_implementation=ARGS.attention,
                                              dtype=torch.bfloat16 if ARGS.bf16 else torch.float32).eval()
        for module in self.model.modules():  # a file without frequencies means those of published ones, which are rounded
            if isinstance(getattr(module, "inv_freq", None), torch.Tensor):
                module.inv_freq = module.inv_freq.half().to(module.inv_freq.dtype)
        self.all_layers = self.model.encoder.layer

    def first(self, layers):
        self.model.encoder.layer = self.all_layers[:layers]

    def __call__(self, ids, mask):
        return self.model(input_ids=ids, attention_mask=mask).last_hidden_state


def load(config):
    if config["model_type"] == "esm":
        return Esm(ARGS.folder)
    model = Dnabert(ARGS.folder, config)
    if ARGS.bf16:
        model.t = {k: v.bfloat16() for k, v in model.t.items()}
    return model


def sequences(config):
    """As bench-language draws them."""
    dna = config["model_type"] != "esm"
    kinds = config["vocab_size"] - 5 if dna else 20
    found = []
    for s, line in enumerate(open(ARGS.lengths)):
        n = int(line)
        found.append([int(dna)] + [5 + (s * 7919 + k * 104729 + k * k * 31) % (kinds - 1) for k in range(n)] + [2])
    return found


def batches(items, budget):
    order = sorted(range(len(items)), key=lambda i: -len(items[i]))
    at = 0
    while at < len(order):
        longest = len(items[order[at]])
        n = max(1, budget // longest)
        yield order[at:at + n], longest
        at += n


def embed(model, items, budget, dna, means=None):
    for which, longest in batches(items, budget):
        ids = torch.full((len(which), longest), 3 if dna else 1)
        mask = torch.zeros((len(which), longest), dtype=torch.long)
        for row, i in enumerate(which):
            ids[row, :len(items[i])] = torch.tensor(items[i])
            mask[row, :len(items[i])] = 1
        y = model(ids, mask)
        for row, i in enumerate(which):
            n = len(items[i])
            mean = (y[row, :n] if dna else y[row, 1:n - 1]).float().mean(0)
            if means is not None:
                means[i] = mean


def timed(model, items, budget, dna):
    wall, cpu = time.perf_counter(), time.process_time()
    embed(model, items, budget, dna)
    return time.perf_counter() - wall, time.process_time() - cpu


def best_budget(model, items, budgets, dna):
    """Layers are alike: the first few tell which budget suits them all."""
    if len(budgets) == 1:
        return budgets[0]
    model.first(3)
    sample = items[::max(1, len(items) // 12)]
    embed(model, sample[:2], budgets[0], dna)
    trial = {b: timed(model, sample, b, dna)[1] for b in budgets}
    model.first(1000)
    return min(trial, key=trial.get)


def main():
    torch.set_num_threads(ARGS.threads)
    torch.set_flush_denormal(True)
    torch.set_grad_enabled(False)
    config = json.loads((ARGS.folder / "config.json").read_text())
    dna = config["model_type"] != "esm"
    model, items = load(config), sequences(config)
    if ARGS.compare:
        means = [None] * len(items)
        embed(model, items, 2048, dna, means)
        ours = np.loadtxt(ARGS.compare).reshape(len(items), -1)
        theirs = np.stack([m.numpy() for m in means]).astype(np.float64)
        worst = max(np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in zip(ours, theirs))
        print(json.dumps({"sequences": len(items), "largest_relative_l2": float(worst)}))
        return 0
    budgets = [int(b) for b in ARGS.budgets.split(",")]
    best = best_budget(model, items, budgets, dna)
    embed(model, items[:1], best, dna)
    wall, cpu = timed(model, items, best, dna)
    residues = sum(len(i) - 2 for i in items)
    print(json.dumps({"program": "torch " + torch.__version__, "precision": "bf16" if ARGS.bf16 else "f32", "threads": ARGS.threads,
                      "budget": best, "sequences": len(items), "tokens": residues + 2 * len(items), "wall_s": round(wall, 4),
                      "cpu_s": round(cpu, 4), "residues_per_cpu_s": round(residues / cpu, 1),
                      "residues_per_s": round(residues / wall, 1), "allocator": os.environ.get("RCL_TORCH_ALLOCATOR", "")}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
