# SPDX-License-Identifier: MIT
"""
Inputs for the oracle: the gate's distributions, and the replacement of a problem's own random sources
by draws from them, on a device and by a seed.
"""
import math
import random
import sys

import torch
from torch.overrides import TorchFunctionMode

# The gate's distributions, in its order (evaluator/worker/gate.h).
MODES = ("own", "offset", "outliers", "integers", "rows", "edges", "impulses", "negative", "positive")


def seed_all(seed):
    """Whatever else a problem draws from follows from the seed, too."""
    torch.manual_seed(seed)
    random.seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed % (1 << 32))


def rows_of(t):
    return t.view(-1, t.shape[-1]) if t.dim() else t.view(1, 1)


def at_edges(t, put):
    """`put` on the first and last element of each row, and on the first and last row."""
    rows = rows_of(t)
    places = {0, rows.shape[1] - 1}
    for i in places:
        rows[:, i] = put(rows[:, i])
    if rows.shape[0] > 2:
        for i in (0, -1):
            rows[i, 1:-1] = put(rows[i, 1:-1])


def change_every(t, step, turn, others, these):
    """Multiplies every step-th element by `these`, the rest by `others`."""
    flat = t.view(-1)
    kept = flat[turn % step::step] * these
    flat.mul_(others)
    flat[turn % step::step] = kept


def scale_rows(t, turn):
    """Rows of very different magnitude."""
    rows = rows_of(t)
    step = (torch.arange(rows.shape[0], device=t.device) + turn) % 8
    power = torch.where(step == 7, torch.full_like(step, -12), step - 3)
    rows.mul_(torch.pow(2.0, power.to(t.dtype))[:, None])


def is_unary(inputs, weights):
    """One tensor of numbers, and weights that are vectors: values far from zero are fair where nothing multiplies
    them with each other."""
    numbers = [t for t in inputs if t["dtype"] in ("f64", "f32", "f16", "bf16")]
    return len(numbers) == 1 and all(math.prod(t["shape"]) == (t["shape"] or [1])[-1] for t in weights)


def spread_normals(t, mode, turn, far=False):
    """Turns standard normals into the distribution of `mode`, in place."""
    if mode == "offset":
        t.mul_(2).add_(1)
    elif mode == "outliers":
        change_every(t, 256, turn, 1, 8)
    elif mode == "integers":
        t.mul_(2).round_().clamp_(-4, 4)
    elif mode == "rows":
        scale_rows(t, turn)
    elif mode == "edges":
        at_edges(t, lambda v: torch.copysign(8 + v.abs(), v))
    elif mode == "impulses":
        change_every(t, 32, turn, 1 / 64, 8)
        if rows_of(t).shape[0] > 1:
            rows_of(t)[turn % 8::8] = 0
    elif mode == "negative":
        t.abs_().add_(0.5).neg_()
    elif mode == "positive" and far:  # beyond what exponentials can take, whatever constant is subtracted first
        t.abs_().mul_(16).add_(160)
    elif mode == "positive":
        t.abs_().add_(0.5)


def spread_units(t, mode, turn):
    """The same for numbers that must stay in [0, 1)."""
    if mode == "offset":
        t.mul_(t)
    elif mode == "integers":
        t.mul_(8).floor_().div_(8)
    elif mode == "rows":
        scale_rows(t, turn)
        t.mul_(1 / 16)
    elif mode == "edges":
        at_edges(t, lambda v: 0.875 + 0.125 * v)
    elif mode in ("outliers", "impulses"):
        change_every(t, 32, turn, 1 / 64, 1)
    elif mode == "negative":
        t.mul_(1 / 64)
    elif mode == "positive":
        t.mul_(0.5).add_(0.49)


class Sources:
    """While active, torch.rand and its like draw on `device`, by `seed`, in the distribution `mode`."""

    NAMES = ("rand", "randn", "randint", "rand_like", "randn_like", "randperm")

    def __init__(self, device, seed, mode, units, far=False):
        self.device, self.mode, self.units, self.far = device, mode, units, far
        self.generator = None
        seed_all(seed)
        if device != "meta":
            self.generator = torch.Generator(device).manual_seed(seed)
        self.kept = {}
        self.drawn = 0

    def __enter__(self):
        self.kept = {name: getattr(torch, name) for name in self.NAMES}
        torch.rand = lambda *size, **how: self.number(size, how, self.units)
        torch.randn = lambda *size, **how: self.number(size, how, False)
        torch.rand_like = lambda like, **how: self.number((like.shape,), {"dtype": like.dtype, **how}, self.units)
        torch.randn_like = lambda like, **how: self.number((like.shape,), {"dtype": like.dtype, **how}, False)
        torch.randint = self.whole
        torch.randperm = lambda n, **how: self.call("randperm", n, device=self.device)
        return self

    def __exit__(self, *_):
        for name, function in self.kept.items():
            setattr(torch, name, function)

    def call(self, name, *args, **how):
        self.drawn += 1
        return self.kept[name](*args, generator=self.generator, **how)

    def number(self, size, how, units):
        size = size or how.get("size", ())
        shape = size[0] if len(size) == 1 and not isinstance(size[0], int) else size
        dtype = how.get("dtype") or torch.float32
        # Not every PyTorch can do f16 on the CPU.
        drawn = torch.float32 if self.device == "cpu" and dtype == torch.float16 else dtype
        t = self.call("rand" if units else "randn", tuple(shape), dtype=drawn, device=self.device)
        if self.device != "meta" and self.mode != "own" and t.numel():
            turn = int(self.kept["randint"](0, 256, (1,), generator=self.generator,
                                            device=self.device))
            if units:
                spread_units(t, self.mode, turn)
            else:
                spread_normals(t, self.mode, turn, self.far)
        return t.to(dtype)

    def whole(self, low=0, high=None, size=None, **how):
        if not isinstance(high, int):  # randint(high, size)
            low, high, size = 0, low, size if high is None else high
        dtype = how.get("dtype") or torch.int64
        return self.call("randint", low, high, tuple(size), dtype=dtype, device=self.device)


class on(TorchFunctionMode):  # noqa: N801 (read as a word: with on(device))
    """Tensors that are made without a device are made here. PyTorch 2 has this as torch.device."""

    MAKERS = {getattr(torch, name) for name in (
        "arange", "empty", "empty_strided", "eye", "full", "linspace", "logspace", "ones", "rand", "randint",
        "randn", "randperm", "tensor", "tril_indices", "triu_indices", "zeros")}

    def __init__(self, device):
        super().__init__()
        self.device = device

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func in self.MAKERS and kwargs.get("device") is None:
            kwargs["device"] = self.device
        return func(*args, **kwargs)
