# SPDX-License-Identifier: MIT
import torch
import torch.nn as nn


class Model(nn.Module):
    def forward(self, x):
        return torch.tanh(x) * 2


batch_size = 24
dim = 130


def get_inputs():
    return [torch.rand(batch_size, dim)]


def get_init_inputs():
    return []
