# SPDX-License-Identifier: MIT
"""
Runs exported Python files on the simulator: export_run.py LIBWARPSIM FILE...

A file with ModelNew is compared with the Model in it, as KernelBench's evaluation would: the same seeds for
weights and inputs, two calls (so that updated buffers count), every tensor a float. PyTorch has no GPU here, so
the tensors are copied to the simulated device and back around the file's own launcher. Prints a line a file:
right, wrong and by how much, or refused.
"""
import ctypes
import sys

import torch

SEED = 42


class Device:
    """Device memory for the time of one call."""

    def __init__(self, kernel):
        self.cuda = kernel.driver()
        self.taken = []

    def give(self, size):
        at = ctypes.c_uint64()
        assert self.cuda.cuMemAlloc_v2(ctypes.byref(at), ctypes.c_size_t(max(size, 1))) == 0
        self.taken.append(at)
        return at.value

    def copy_in(self, tensor):
        size = tensor.numel() * tensor.element_size()
        at = self.give(size)
        code = self.cuda.cuMemcpyHtoD_v2(ctypes.c_uint64(at), ctypes.c_void_p(tensor.data_ptr()), ctypes.c_size_t(size))
        assert code == 0
        return at

    def copy_out(self, tensor, at):
        size = tensor.numel() * tensor.element_size()
        code = self.cuda.cuMemcpyDtoH_v2(ctypes.c_void_p(tensor.data_ptr()), ctypes.c_uint64(at), ctypes.c_size_t(size))
        assert code == 0, f"the kernels failed with CUDA error {code}"

    def close(self):
        for at in self.taken:
            self.cuda.cuMemFree_v2(at)


def simulated(space):
    """In place of the file's kernel: the same launcher, on copies."""
    kernel, plan = space["WarpsmithKernel"](), space["WARPSMITH_PLAN"]
    context, device = ctypes.c_void_p(), ctypes.c_int()
    cuda = kernel.driver()
    assert cuda.cuInit(0) == 0 and cuda.cuDeviceGet(ctypes.byref(device), 0) == 0
    assert cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), device) == 0
    assert cuda.cuCtxSetCurrent(context) == 0

    def call(given, held=()):
        on, given = Device(kernel), [*given, *held]
        specs = plan["tensors"]
        wanted = [spec for spec in specs if spec[3] != "output"]
        assert len(given) == len(wanted), (len(given), len(wanted))
        for tensor, spec in zip(given, wanted):
            assert tuple(tensor.shape) == spec[2] and tensor.dtype == getattr(torch, spec[1]), spec
        outputs = [torch.full(spec[2], 7, dtype=getattr(torch, spec[1])) for spec in specs[len(wanted):]]
        at = [on.copy_in(t) for t in list(given) + outputs] + [on.give(size) for _, size in plan["scratch"]]
        own = kernel.device(0)
        kernel.enqueue(own["prepare"], at, 0)
        if plan["graph"]:
            kernel.check(cuda.cuGraphLaunch(kernel.graph(own, at), None), "the graph")
        else:
            kernel.enqueue(own["launches"], at, 0)
        kernel.check(cuda.cuCtxSynchronize(), "running")
        for tensor, place, spec in zip(list(given) + outputs, at, specs):
            if spec[3] in ("inout", "output"):
                on.copy_out(tensor, place)
        on.close()
        return outputs[0] if len(outputs) == 1 else tuple(outputs)
    return call


def seeded(make):
    torch.manual_seed(SEED)
    return make()


def compare(space):
    if "ModelNew" not in space:
        return "no ModelNew"
    space["warpsmith_kernel"] = simulated(space)
    first = seeded(space["get_init_inputs"])
    theirs, ours = seeded(lambda: space["Model"](*first)), seeded(lambda: space["ModelNew"](*first))
    inputs = [t.float() if torch.is_tensor(t) else t for t in seeded(space["get_inputs"])]
    own = [t.to(u.dtype) if torch.is_tensor(t) else t for t, u in zip(inputs, seeded(space["get_inputs"]))]
    off = 0.0
    with torch.no_grad():
        for _ in range(2):
            want, got = theirs(*own), ours(*inputs)
            for a, b in zip(want if isinstance(want, tuple) else [want], got if isinstance(got, tuple) else [got]):
                assert a.shape == b.shape, (a.shape, b.shape)
                off = max(off, float(((a - b).abs() / (1e-4 + 1e-4 * a.abs())).max()))
    for (name, a), (_, b) in zip(theirs.state_dict().items(), ours.state_dict().items()):
        off = max(off, float(((a - b).abs() / (1e-4 + 1e-4 * a.abs())).max()))
    return "right" if off <= 1 else f"wrong, {off:.3g} times the tolerance"


def main():
    failed = False
    for path in sys.argv[2:]:
        space = {}
        try:
            with open(path, encoding="utf-8") as file:
                exec(compile(file.read(), path, "exec"), space)  # as KernelBench does it
            space["WARPSMITH_DRIVER"] = sys.argv[1]
            print(f"{path}: {compare(space)}")
        except Exception as problem:
            failed = True
            print(f"{path}: {type(problem).__name__}: {problem}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
