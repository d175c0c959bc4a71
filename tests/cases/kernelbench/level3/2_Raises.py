# SPDX-License-Identifier: MIT
import torch
import torch.nn as nn


class Model(nn.Module):
    def forward(self, x):
        return torch.matmul(x, x)


def get_inputs():
    return [torch.rand(4, 5)]


def get_init_inputs():
    return []
