# SPDX-License-Identifier: MIT
import torch
import torch.nn as nn

batch = 50
wide = 128
out = 64


class Model(nn.Module):
    def __init__(self, wide, out):
        super().__init__()
        self.linear = nn.Linear(wide, out)

    def forward(self, x):
        return torch.relu(self.linear(x))


def get_inputs():
    return [torch.rand(batch, wide)]


def get_init_inputs():
    return [wide, out]
