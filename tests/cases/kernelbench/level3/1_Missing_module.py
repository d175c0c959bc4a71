# SPDX-License-Identifier: MIT
import torch
import a_module_that_nobody_has


def get_inputs():
    return [torch.rand(4)]


def get_init_inputs():
    return []
