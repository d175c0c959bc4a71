# SPDX-License-Identifier: MIT
import torch
import torch.nn as nn

rows = 24
cols = 40


class Model(nn.Module):
    """Told by its name: KernelBench-Verified has five configurations of this one."""

    def forward(self, predictions, targets):
        return torch.mean(torch.clamp(1 - predictions * targets, min=0))


def get_inputs():
    return [torch.rand(rows, cols), torch.randint(0, 2, (cols,)).float() * 2 - 1]


def get_init_inputs():
    return []
