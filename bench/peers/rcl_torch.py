#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""PyTorch on the labelling models: time of a training step and of inference, one JSON line per measurement.

The models have the sizes and parameter names of the reference; every protein is padded to 1024 positions, as it does.
"""
import argparse
import csv
import glob
import json
import os
import random
import statistics
import sys
import time

LENGTH, BATCH, LETTERS = 1024, 32, "ACDEFGHIKLMNPQRSTVWYX"


def keep_memory():
    """Starts this program again with an allocator that keeps what it has; a fresh map of every large tensor costs page faults."""
    if os.environ.get("RCL_TORCH_ALLOCATOR"):
        return
    env = dict(os.environ, RCL_TORCH_ALLOCATOR="glibc, keeping", MALLOC_TOP_PAD_=str(1 << 26),
               MALLOC_MMAP_MAX_="0", MALLOC_TRIM_THRESHOLD_=str(1 << 40))
    for name in ("libjemalloc.so.2", "libtcmalloc_minimal.so.4", "libtcmalloc.so.4"):
        for path in glob.glob(f"/usr/lib/*/{name}") + glob.glob(f"/usr/lib64/{name}"):
            env.update(LD_PRELOAD=path, RCL_TORCH_ALLOCATOR=name, MALLOC_CONF="dirty_decay_ms:-1,muzzy_decay_ms:-1")
            os.execve(sys.executable, [sys.executable] + sys.argv, env)
    os.execve(sys.executable, [sys.executable] + sys.argv, env)


def arguments(given=None):
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("--model", choices=["cnn", "unet", "lstm"], action="append", help="default: all three")
    a.add_argument("--task", choices=["train", "infer"], action="append", help="default: both")
    a.add_argument("--mode", choices=["default", "best"], default="best",
                   help="best: denormals flushed, an allocator that keeps memory, the fastest memory format")
    a.add_argument("--threads", type=int, default=1)
    a.add_argument("--repeats", type=int, default=7)
    a.add_argument("--data", help="folder of training tables (raw/*.csv) for real lengths; else lengths are drawn")
    a.add_argument("--compile", action="store_true", help="also try torch.compile (best mode)")
    a.add_argument("--check", metavar="FILE.h5", help="compare evaluation logits with a golden file instead (needs h5py)")
    return a.parse_args(given)


MAIN = __name__ == "__main__"
ARGS = arguments(None if MAIN else [])
if MAIN and ARGS.mode == "best" and not ARGS.check:
    keep_memory()

import torch  # noqa: E402  (the allocator must be chosen first)
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402


# ---- models -------------------------------------------------------------------------------------------------------------------


class Normed(nn.Module):
    """Convolution and batch norm under the reference's names."""

    def __init__(self, n_in, n_out, k):
        super().__init__()
        self.conv = nn.Conv1d(n_in, n_out, k, padding=k // 2)
        self.bn = nn.BatchNorm1d(n_out)


class Cnn(nn.Module):
    def __init__(self, dim, channels=(256, 128, 64, 32), kernel_sizes=(7, 5, 5, 3), dropout=0.3):
        super().__init__()
        widths = [dim, *channels]
        self.conv_layers = nn.ModuleList(Normed(a, b, k) for a, b, k in zip(widths, channels, kernel_sizes))
        self.output = nn.Sequential(nn.Conv1d(channels[-1], 2, 1))
        self.dropout = dropout

    def forward(self, x):
        for layer in self.conv_layers:
            x = F.dropout(F.relu(layer.bn(layer.conv(x))), self.dropout, self.training)
        return self.output(x)


class DoubleConv(nn.Module):
    def __init__(self, n_in, n_out, dropout):
        super().__init__()
        self.double_conv = nn.Sequential(
            nn.Conv1d(n_in, n_out, 7, padding=3), nn.BatchNorm1d(n_out), nn.ReLU(inplace=True), nn.Dropout(dropout),
            nn.Conv1d(n_out, n_out, 7, padding=3), nn.BatchNorm1d(n_out), nn.ReLU(inplace=True))

    def forward(self, x):
        return self.double_conv(x)


class Gate(nn.Module):
    def __init__(self, n_up, n_skip):
        super().__init__()
        self.W_gate = nn.Conv1d(n_up, n_skip // 2, 1)
        self.W_skip = nn.Conv1d(n_skip, n_skip // 2, 1)
        self.psi = nn.Conv1d(n_skip // 2, 1, 1)

    def forward(self, up, skip):
        return skip * torch.sigmoid(self.psi(F.relu(self.W_gate(up) + self.W_skip(skip))))


def resize(x, length):
    """Linear, ends aligned; also for tensors that carry an axis of length 1 before the positions."""
    if x.dim() == 4:
        return F.interpolate(x, size=(1, length), mode="bilinear", align_corners=True)
    return F.interpolate(x, size=length, mode="linear", align_corners=True)


class Unet(nn.Module):
    def __init__(self, dim, base_filters=32, depth=4, dropout=0.25, attention=True):
        super().__init__()
        b = base_filters
        widths = [b * 2 ** min(i, 2) for i in range(depth)]
        self.input_proj = nn.Conv1d(dim, b, 1)
        self.encoder_blocks = nn.ModuleList(DoubleConv(a, c, dropout) for a, c in zip([b, *widths], widths))
        self.bottleneck = DoubleConv(widths[-1], 2 * widths[-1], dropout)
        self.decoder_blocks, self.attention_gates = nn.ModuleList(), nn.ModuleList()
        up = 2 * widths[-1]
        for e in reversed(range(depth)):
            out = b if e == 0 else b * 2 ** (e - 1)
            self.decoder_blocks.append(DoubleConv(up + widths[e], out, dropout))
            if attention:
                self.attention_gates.append(Gate(up, widths[e]))
            up = out
        self.output = nn.Sequential(nn.Conv1d(b, b, 3, padding=1), nn.ReLU(inplace=True), nn.Conv1d(b, 2, 1))

    def forward(self, x):
        x = self.input_proj(x)
        skips = []
        for block in self.encoder_blocks:
            x = block(x)
            skips.append(x)
            x = F.avg_pool2d(x, (1, 2)) if x.dim() == 4 else F.avg_pool1d(x, 2)
        x = self.bottleneck(x)
        for i, block in enumerate(self.decoder_blocks):
            skip = skips[-1 - i]
            x = resize(x, 2 * x.shape[-1])
            if x.shape[-1] != skip.shape[-1]:
                x = resize(x, skip.shape[-1])
            if self.attention_gates:
                skip = self.attention_gates[i](x, skip)
            x = block(torch.cat([skip, x], 1))
        return self.output(x)


class Lstm(nn.Module):
    """Takes and gives [B, L, .]."""

    def __init__(self, dim, hidden_dim=256, num_layers=2, dropout=0.3):
        super().__init__()
        self.lstm = nn.LSTM(dim, hidden_dim, num_layers, batch_first=True, bidirectional=True,
                            dropout=dropout if num_layers > 1 else 0)
        self.dropout = dropout
        self.fc = nn.Sequential(nn.Linear(2 * hidden_dim, hidden_dim), nn.ReLU(inplace=True), nn.Dropout(dropout),
                                nn.Linear(hidden_dim, 2))

    def forward(self, x):
        return self.fc(F.dropout(self.lstm(x)[0], self.dropout, self.training))


MODELS = {"cnn": Cnn, "unet": Unet, "lstm": Lstm}


def as_images(module):
    """The same model on [B, C, 1, L] with channels last: 2-dimensional kernels with one row, which oneDNN runs in that format."""
    for name, child in module.named_children():
        if isinstance(child, nn.Conv1d):
            k = child.kernel_size[0]
            conv = nn.Conv2d(child.in_channels, child.out_channels, (1, k), padding=(0, k // 2), dtype=child.weight.dtype)
            conv.weight.data = child.weight.data.unsqueeze(2)
            conv.bias.data = child.bias.data
            setattr(module, name, conv)
        elif isinstance(child, nn.BatchNorm1d):
            norm = nn.BatchNorm2d(child.num_features, dtype=child.weight.dtype)
            norm.load_state_dict(child.state_dict())
            norm.train(child.training)
            setattr(module, name, norm)
        else:
            as_images(child)
    return module.to(memory_format=torch.channels_last)


# ---- data ---------------------------------------------------------------------------------------------------------------------


def lengths_of(folder):
    found = []
    for name in ("Alphafold_RCL_annotations.csv", "non_serpin_train.csv"):
        with open(os.path.join(folder, "raw", name), newline="") as f:
            found += [len(row["Sequence"].strip()) for row in csv.DictReader(f)]
    return [n for n in found if 0 < n <= LENGTH]


def lengths_drawn(rng):
    """Two in five around 405 residues, the others spread from 300 to 801: the shape of the training tables."""
    return [round(rng.gauss(405, 30)) if rng.random() < 0.4 else rng.randint(300, 801) for _ in range(1000)]


def batches(n, lengths, rng):
    made = []
    for _ in range(n):
        x, y = torch.zeros(BATCH, LENGTH, len(LETTERS)), torch.full((BATCH, LENGTH), -1)
        for b in range(BATCH):
            length = rng.choice(lengths)
            x[b, torch.arange(length), torch.randint(0, 20, (length,))] = 1
            y[b, :length] = 0
            start = max(0, length - 60)
            y[b, start:start + min(27, length)] = 1
        made.append((x, y))
    return made


def loss_of(logits, labels):
    """logits [B, L, 2]"""
    inside = labels >= 0
    p = torch.softmax(logits, -1)
    picked = p.gather(-1, labels.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    weight = torch.where(labels == 1, 5.0, 1.0)
    return -(weight * torch.log(picked + 1e-8) * inside).sum() / inside.sum()


# ---- measuring ------------------------------------------------------------------------------------------------------------------


class Runner:
    def __init__(self, kind, variant):
        torch.manual_seed(1)
        self.kind, self.images = kind, "channels-last" in variant
        self.model = MODELS[kind](len(LETTERS))
        if self.images:
            self.model = as_images(self.model)
        options = {"fused": True} if ARGS.mode == "best" else {}
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3, weight_decay=1e-4, **options)
        self.call = torch.compile(self.model) if "compiled" in variant else self.model

    def logits(self, x):
        if self.kind == "lstm":
            return self.call(x)
        x = x.transpose(1, 2)
        if self.images:
            x = x.unsqueeze(2).contiguous(memory_format=torch.channels_last)
            return self.call(x).squeeze(2).transpose(1, 2)
        return self.call(x).transpose(1, 2)

    def train(self, x, y):
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        loss = loss_of(self.logits(x), y)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def infer(self, x, _):
        self.model.eval()
        with torch.inference_mode():
            return torch.softmax(self.logits(x), -1)[0, 0, 0].item()


def measure(kind, task, variant, data):
    runner = Runner(kind, variant)
    step = getattr(runner, task)
    for x, y in data[:2]:
        step(x, y)
    wall, cpu = [], []
    for x, y in data[2:]:
        w, c = time.perf_counter(), time.process_time()
        step(x, y)
        wall.append(time.perf_counter() - w)
        cpu.append(time.process_time() - c)
    quarters = statistics.quantiles(wall, n=4) if len(wall) > 1 else [wall[0]] * 3
    median = statistics.median(wall)
    return {"peer": "pytorch", "version": torch.__version__, "model": kind, "task": task, "mode": ARGS.mode, "variant": variant,
            "threads": ARGS.threads, "batch": BATCH, "length": LENGTH, "n": len(wall), "median_s": round(median, 5),
            "q1_s": round(quarters[0], 5), "q3_s": round(quarters[2], 5), "min_s": round(min(wall), 5),
            "cpu_s": round(statistics.median(cpu), 5), "proteins_per_s": round(BATCH / median, 2),
            "allocator": os.environ.get("RCL_TORCH_ALLOCATOR", "as it is")}


def variants(kind):
    if ARGS.mode == "default":
        return ["plain"]
    found = ["plain"] if kind == "lstm" else ["plain", "channels-last"]
    return found + ([v + ", compiled" for v in found] if ARGS.compile else [])


def check(path):
    import h5py
    with h5py.File(path) as f:
        kind, config = f.attrs["model"], json.loads(f.attrs["model_config"])
        kind = kind.decode() if isinstance(kind, bytes) else kind
        config.pop("dropout", None)
        model = MODELS[kind](int(f.attrs["input_dim"]), **config).double().eval()
        state = {n: torch.tensor(v[()]).double() for g in ("weights", "buffers") for n, v in f[g].items()}
        model.load_state_dict(state, strict=False)
        x, expected = torch.tensor(f["inputs/x"][()]).double(), torch.tensor(f["outputs/logits_eval_f64"][()])
        for images in ([False] if kind == "lstm" else [False, True]):
            if images:
                model = as_images(model)
            with torch.no_grad():
                if kind == "lstm":
                    got = model(x)
                elif images:
                    got = model(x.transpose(1, 2).unsqueeze(2)).squeeze(2).transpose(1, 2)
                else:
                    got = model(x.transpose(1, 2)).transpose(1, 2)
            error = (got - expected).abs().max().item()
            print(json.dumps({"file": os.path.basename(path), "channels_last": images, "max_abs_error": error}))
            if not error <= 1e-9:
                return 1
    return 0


def main():
    if ARGS.check:
        return check(ARGS.check)
    torch.set_num_threads(ARGS.threads)
    if ARGS.mode == "best":
        torch.set_flush_denormal(True)
    rng = random.Random(1)
    torch.manual_seed(1)
    data = batches(ARGS.repeats + 2, lengths_of(ARGS.data) if ARGS.data else lengths_drawn(rng), rng)
    for kind in ARGS.model or list(MODELS):
        for task in ARGS.task or ["train", "infer"]:
            lines = [measure(kind, task, v, data) for v in variants(kind)]
            fastest = min(lines, key=lambda line: line["cpu_s" if ARGS.threads == 1 else "median_s"])
            for line in lines:
                print(json.dumps(dict(line, fastest=line is fastest)), flush=True)
    return 0


if MAIN:
    sys.exit(main())
