# SPDX-License-Identifier: MIT
import torch
import torch.nn as nn

rows = 60
cols = 300


class Model(nn.Module):
    def forward(self, x):
        return torch.cumsum(x, dim=1)


def get_inputs():
    return [torch.rand(rows, cols)]


def get_init_inputs():
    return []
