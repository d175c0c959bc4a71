# SPDX-License-Identifier: MIT
import torch
import torch.nn as nn

M = 70
K = 250
N = 90


class Model(nn.Module):
    def forward(self, A, B):
        return torch.matmul(A, B)


def get_inputs():
    return [torch.rand(M, K), torch.rand(K, N)]


def get_init_inputs():
    return []
