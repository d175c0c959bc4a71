# SPDX-License-Identifier: MIT
import time

import torch
import torch.nn as nn

n = 256


class Model(nn.Module):
    """Takes its time, so that a test can end the process meanwhile."""

    def forward(self, x):
        time.sleep(0.015)
        return x + x


def get_inputs():
    return [torch.rand(n)]


def get_init_inputs():
    return []
