# SPDX-License-Identifier: MIT
import torch
import torch.nn as nn

batch = 8
wide = 16
depth = 64


class Model(nn.Module):
    def __init__(self, wide, depth):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(wide, wide) for _ in range(depth))

    def forward(self, x):
        for layer in self.layers:
            x = x + torch.tanh(layer(x)) / 8
        return x


def get_inputs():
    return [torch.rand(batch, wide)]


def get_init_inputs():
    return [wide, depth]
