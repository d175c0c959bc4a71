# SPDX-License-Identifier: MIT
import torch
import torch.nn as nn

rows = 96
cols = 333


class Model(nn.Module):
    def forward(self, a, b, alpha):
        return alpha * a - b


def get_inputs():
    return [torch.rand(rows, cols), torch.rand(rows, cols), 2.5]


def get_init_inputs():
    return []
