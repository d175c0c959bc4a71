# SPDX-License-Identifier: MIT
import torch
import torch.nn as nn

planes = 12
wide = 40
high = 36


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)

    def forward(self, x):
        return self.pool(x)


def get_inputs():
    return [torch.rand(1, planes, wide, high)]


def get_init_inputs():
    return []
