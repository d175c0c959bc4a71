# SPDX-License-Identifier: MIT
import torch
import torch.nn as nn

rows = 48
cols = 200


class Model(nn.Module):
    def __init__(self, cols):
        super().__init__()
        self.norm = nn.LayerNorm(cols)

    def forward(self, x):
        return self.norm(x)


def get_inputs():
    return [torch.rand(rows, cols)]


def get_init_inputs():
    return [cols]
