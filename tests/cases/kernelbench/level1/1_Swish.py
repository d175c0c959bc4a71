# SPDX-License-Identifier: MIT
import torch
import torch.nn as nn

rows = 48
cols = 100


class Model(nn.Module):
    def forward(self, x, beta):
        return x * torch.sigmoid(beta * x)


def get_inputs():
    return [torch.rand(rows, cols), 1.5]


def get_init_inputs():
    return []
