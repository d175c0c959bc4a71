# SPDX-License-Identifier: MIT
import torch
import torch.nn as nn

calls = 0


class Model(nn.Module):
    def forward(self, x):
        global calls
        calls += 1
        if calls > 2:
            raise RuntimeError("this problem works twice and then never again")
        return torch.nn.functional.leaky_relu(x)


def get_inputs():
    return [torch.rand(24, 130)]


def get_init_inputs():
    return []
