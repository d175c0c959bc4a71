# SPDX-License-Identifier: MIT
"""
How far two of the oracle's tensors lie from each other, and the rounding that lower precisions bring.
"""
import math

import torch


def apart(a, b):
    """By how much a misses b, at most and as RMS, as shares of b's RMS; a is lost."""
    size = float(torch.linalg.vector_norm(b.float())) if b.is_floating_point() else 0.0
    if not b.numel() or not math.isfinite(size) or size <= 0:
        return 0.0, 0.0
    a.sub_(b)
    worst = float(a.abs().max()) * math.sqrt(b.numel()) / size
    whole = float(torch.linalg.vector_norm(a.float())) / size
    return (worst, whole) if math.isfinite(worst) and math.isfinite(whole) else (0.0, 0.0)


def round_to(t, bits):
    """f32, in place, to the nearest with so many bits of mantissa; ties go away from zero."""
    raw = t.view(-1).view(torch.int32)
    raw.add_(1 << (22 - bits)).bitwise_and_(-(1 << (23 - bits)))


def unlike(a, b, share):
    """Does any element miss b's by more than this share of the largest? What is not finite must be the same."""
    same = (a == b) | (a.isnan() & b.isnan())
    if bool(same.all()):
        return False
    largest = b.double().abs().masked_fill_(~b.isfinite(), 0).max()
    off = (a.double() - b.double()).abs_().masked_fill_(same, 0).max()
    return not float(off) <= share * float(largest)  # a NaN is far
