# SPDX-License-Identifier: MIT
import torch
import torch.nn as nn

rows = 80
cols = 700


class Model(nn.Module):
    def forward(self, x):
        return torch.mean(x, dim=1)


def get_inputs():
    return [torch.rand(rows, cols)]


def get_init_inputs():
    return []
