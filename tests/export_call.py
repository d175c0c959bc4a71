# SPDX-License-Identifier: MIT
"""
What an exported launcher makes of the tensors it is called with: export_call.py KERNEL_PY

Neither PyTorch nor a GPU is needed: tensors are made up, and what would be queued is written down. Prints "right", or
fails at the first expectation that doesn't hold.
"""
import sys
import types

ALIGNED = 512


class Tensor:
    """As much of a tensor as the launcher looks at; `memory` is where it begins."""

    def __init__(self, memory, contiguous=True, inference=False):
        self.shape, self.dtype, self.is_cuda, self.device = (4,), "f32", True, DEVICE
        self.memory, self.contiguous, self.inference, self.changes = memory, contiguous, inference, 0

    @property
    def _version(self):
        if self.inference:
            raise RuntimeError("Inference tensors do not track version counter.")
        return self.changes

    def is_inference(self):
        return self.inference

    def is_contiguous(self):
        return self.contiguous

    def data_ptr(self):
        return self.memory

    def contiguous(self):
        return self if self.contiguous else self.clone()

    def clone(self, memory_format=None):
        return Tensor(1 << 20)


DEVICE = types.SimpleNamespace(index=0)
torch = types.SimpleNamespace(
    float32="f32", uint8="u8", Size=tuple, contiguous_format=None,
    empty=lambda *_, **__: Tensor(1 << 30),
    cuda=types.SimpleNamespace(current_device=lambda: 0, is_current_stream_capturing=lambda: False,
                               current_stream=lambda: types.SimpleNamespace(cuda_stream=7)))
sys.modules["torch"] = torch


def open_kernel(path, role):
    space = {"WARPSMITH_NAME": "case", "WARPSMITH_PLAN": {
        "tensors": [("x", "float32", (4,), role, ), ("w", "float32", (4,), "weight"), ("y", "float32", (4,), "output")],
        "scratch": [("packed", 64)], "prepare": ["prepare"], "launches": ["launch"], "graph": False}}
    with open(path, encoding="utf-8") as file:
        exec(compile(file.read(), path, "exec"), space)
    kernel, queued = space["WarpsmithKernel"](), []
    kernel.devices[0] = {"launches": ["launch"], "prepare": ["prepare"], "streams": {}}
    kernel.enqueue = lambda steps, at, stream: queued.append((steps[0], at[0], at[1]))

    def call(given, held=()):
        queued.clear()
        kernel(given, held)
        return queued
    return call


def refused(call, *args):
    try:
        call(*args)
    except ValueError as error:
        return str(error)
    raise AssertionError("it was taken")


def prepared(queued):
    return [name for name, *_ in queued] == ["prepare", "launch"]


def main():
    call = open_kernel(sys.argv[1], "input")
    x, w = Tensor(ALIGNED), Tensor(2 * ALIGNED)
    assert prepared(call([x, w])) and not prepared(call([x, w]))
    w.changes += 1
    assert prepared(call([x, w])) and not prepared(call([x, w]))
    # Another weight that got the first one's memory, with as many changes behind it.
    other = Tensor(w.memory)
    other.changes = w.changes
    assert prepared(call([x, other])) and not prepared(call([x, other]))
    # What PyTorch doesn't count the changes of is prepared each time.
    blind = Tensor(w.memory, inference=True)
    assert prepared(call([x, blind])) and prepared(call([x, blind]))
    # The same of a module's own.
    assert prepared(call([x], [w])) and not prepared(call([x], [w])) and prepared(call([x], [other]))
    # Kernels read up to 32 bytes at once: what begins elsewhere, or has gaps, is copied.
    for odd in (Tensor(ALIGNED + 4), Tensor(ALIGNED, contiguous=False)):
        assert call([odd, w])[-1] == ("launch", 1 << 20, w.memory)
    assert call([Tensor(ALIGNED + 32), w])[-1] == ("launch", ALIGNED + 32, w.memory)
    assert "begin at a multiple" in refused(call, [x], [Tensor(ALIGNED + 16)])
    # A copy would not be updated.
    call = open_kernel(sys.argv[1], "inout")
    assert call([x, w])[-1] == ("launch", x.memory, w.memory)
    assert "updated in place" in refused(call, [Tensor(ALIGNED + 16), w])
    print("right")


if __name__ == "__main__":
    main()
