

class WarpsmithKernel:
    """Launches the plan above through the CUDA driver, on PyTorch's current stream.

    The plan is bound to the shapes it names; other shapes are refused. Scratch memory and what `prepare`
    makes of the weights are kept for each stream; the weights are prepared again when they change (what is
    written through `.data` can't be seen). Tensors whose memory begins at an odd place are copied."""

    ALIGNED = 32  # bytes: the widest access that a kernel makes

    def __init__(self):
        import threading
        self.lock, self.cuda, self.devices, self.known = threading.Lock(), None, {}, None

    # ---- the driver

    def driver(self):
        """libcuda, with the types of the calls that the fast path makes."""
        import ctypes
        if self.cuda is None:
            self.cuda = ctypes.CDLL(WARPSMITH_DRIVER)
            pointer, number = ctypes.c_void_p, ctypes.c_uint
            self.cuda.cuLaunchKernelEx.argtypes = [pointer, pointer, pointer, pointer]
            self.cuda.cuMemsetD8Async.argtypes = [ctypes.c_uint64, ctypes.c_ubyte, ctypes.c_size_t, pointer]
            self.cuda.cuGraphLaunch.argtypes = [pointer, pointer]
            self.cuda.cuModuleGetFunction.argtypes = [pointer, pointer, ctypes.c_char_p]
            self.cuda.cuFuncGetAttribute.argtypes = [pointer, ctypes.c_int, pointer]
            self.cuda.cuFuncSetAttribute.argtypes = [pointer, ctypes.c_int, ctypes.c_int]
            self.cuda.cuStreamBeginCapture_v2.argtypes = [pointer, ctypes.c_int]
            self.cuda.cuStreamEndCapture.argtypes = [pointer, pointer]
            self.cuda.cuGraphInstantiateWithFlags.argtypes = [pointer, pointer, ctypes.c_ulonglong]
            self.cuda.cuGraphExecDestroy.argtypes = self.cuda.cuGraphDestroy.argtypes = [pointer]
            self.cuda.cuStreamCreate.argtypes = [pointer, number]
        return self.cuda

    def check(self, code, what):
        import ctypes
        if code:
            name = ctypes.c_char_p()
            self.cuda.cuGetErrorName(code, ctypes.byref(name))
            raise RuntimeError(f"{WARPSMITH_NAME}: {what}: {(name.value or b'error').decode()} ({code})")

    def load(self, index):
        """The module on a device: the image, or the source compiled anew where there is none for it."""
        import base64
        import ctypes
        import zlib
        module, code = ctypes.c_void_p(), 209  # CUDA_ERROR_NO_BINARY_FOR_GPU
        if WARPSMITH_IMAGE:
            image = zlib.decompress(base64.b64decode(WARPSMITH_IMAGE)) + bytes(64)
            code = self.cuda.cuModuleLoadData(ctypes.byref(module), image)
        if code in (209, 218, 222):  # another architecture, or PTX that this driver can't take
            image = self.compile(index)
            code = self.cuda.cuModuleLoadData(ctypes.byref(module), image)
        self.check(code, "loading the kernels")
        return module

    def compile(self, index):
        """WARPSMITH_SOURCE by NVRTC, for the device at hand."""
        import ctypes
        import torch
        nvrtc = self.nvrtc()
        major, minor = torch.cuda.get_device_capability(index)
        options = ["-std=c++17", f"-arch=sm_{major}{minor}{'a' if major >= 9 else ''}"]
        options += [f"--include-path={folder}" for folder in self.includes()] + list(WARPSMITH_OPTIONS)
        program, size = ctypes.c_void_p(), ctypes.c_size_t()
        nvrtc.nvrtcCreateProgram(ctypes.byref(program), WARPSMITH_SOURCE, b"kernel.cu", 0, None, None)
        texts = (ctypes.c_char_p * len(options))(*[option.encode() for option in options])
        failed = nvrtc.nvrtcCompileProgram(program, len(options), texts)
        if failed:
            nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
            log = ctypes.create_string_buffer(size.value)
            nvrtc.nvrtcGetProgramLog(program, log)
            raise RuntimeError(f"{WARPSMITH_NAME}: the source doesn't compile:\n{log.value.decode(errors='replace')}")
        nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(size))
        image = ctypes.create_string_buffer(size.value)
        nvrtc.nvrtcGetCUBIN(program, image)
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
        return image.raw

    @staticmethod
    def nvrtc():
        import ctypes
        for name in ("libnvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12"):
            try:
                return ctypes.CDLL(name)
            except OSError:
                pass
        raise RuntimeError(f"{WARPSMITH_NAME}: there is no image for this device, and no libnvrtc.so to make one")

    @staticmethod
    def includes():
        import glob
        import os
        import torch
        site = os.path.dirname(os.path.dirname(torch.__file__))
        homes = [os.environ.get("CUDA_HOME", ""), "/usr/local/cuda", *glob.glob(site + "/nvidia/cuda_runtime"),
                 *glob.glob(site + "/nvidia/cu1*")]
        found = [home + "/include" for home in homes if home and os.path.exists(home + "/include/cuda_fp16.h")]
        return [folder for top in found[:1] for folder in (top, top + "/cccl")]

    # ---- what is kept for a device: the steps, with their arguments' places

    def step(self, module, launch, first):
        """(function, parameters, values, places of pointers in them, configuration, its stream, name, what must live)"""
        import ctypes
        import struct
        if launch[0] == "memset":
            return (None, launch[1], launch[2], launch[3])
        _, name, grid, block, shared, cluster, cooperative, programmatic, arguments = launch
        function, fixed = ctypes.c_void_p(), ctypes.c_int()
        self.check(self.cuda.cuModuleGetFunction(ctypes.byref(function), module, name.encode()), name)
        self.check(self.cuda.cuFuncGetAttribute(ctypes.byref(fixed), 1, function), name)  # static shared memory
        if shared and fixed.value + shared > 48 << 10:
            self.check(self.cuda.cuFuncSetAttribute(function, 8, shared), f"{name}: {shared} bytes of shared memory")
        values = (ctypes.c_uint64 * max(1, len(arguments)))()
        for i, (kind, value) in enumerate(arguments):
            values[i] = 0 if kind == "buffer" else value & (1 << 64) - 1
        parameters = (ctypes.c_void_p * max(1, len(arguments)))(
            *[ctypes.addressof(values) + 8 * i for i in range(len(arguments))])
        attributes = b""  # CUlaunchAttribute: id, padding, 64 bytes
        if cluster:
            attributes += struct.pack("<IIIII52x", 4, 0, *cluster)
        if cooperative:
            attributes += struct.pack("<IIi60x", 2, 0, 1)
        if programmatic and not first:
            attributes += struct.pack("<IIi60x", 6, 0, 1)
        kept = ctypes.create_string_buffer(attributes, max(1, len(attributes)))
        # CUlaunchConfig: grid, block, shared memory, stream (at 32), attributes
        config = ctypes.create_string_buffer(struct.pack(
            "<7I4xQQI4x", *grid, *block, shared, 0, ctypes.addressof(kept) if attributes else 0,
            len(attributes) // 72))
        pointers = [(i, value) for i, (kind, value) in enumerate(arguments) if kind == "buffer"]
        stream = ctypes.c_uint64.from_buffer(config, 32)
        return (function.value, ctypes.addressof(parameters), values, pointers, ctypes.addressof(config), stream, name,
                (parameters, config, kept))

    def device(self, index):
        if index not in self.devices:
            self.driver()
            module = self.load(index)
            self.devices[index] = {
                "launches": [self.step(module, one, i == 0) for i, one in enumerate(WARPSMITH_PLAN["launches"])],
                "prepare": [self.step(module, one, i == 0) for i, one in enumerate(WARPSMITH_PLAN["prepare"])],
                "streams": {}}
        return self.devices[index]

    def enqueue(self, steps, at, stream):
        """Queues the steps; at[i] is the address of the plan's buffer i."""
        launch = self.cuda.cuLaunchKernelEx
        for function, parameters, values, pointers, *rest in steps:
            if function is None:  # buffer, value, bytes
                self.check(self.cuda.cuMemsetD8Async(at[parameters], values, pointers, stream), "memset")
                continue
            rest[1].value = stream
            for i, buffer in pointers:
                values[i] = at[buffer]
            code = launch(rest[0], function, parameters, None)
            if code:
                self.check(code, rest[2])

    def graph(self, own, at):
        """The launches as one CUDA graph, kept for the addresses it was recorded with; the last few."""
        import ctypes
        key, graphs = tuple(at), own.setdefault("graphs", {})
        if key not in graphs:
            if len(graphs) >= 4:
                self.check(self.cuda.cuGraphExecDestroy(graphs.pop(next(iter(graphs)))), "graph")
            side, graph, ready = own.get("side"), ctypes.c_void_p(), ctypes.c_void_p()
            if side is None:  # the default stream can't be recorded
                side = own["side"] = ctypes.c_void_p()
                self.check(self.cuda.cuStreamCreate(ctypes.byref(side), 1), "a stream to record on")
            self.check(self.cuda.cuStreamBeginCapture_v2(side, 1), "recording a graph")
            self.enqueue(own["launches"], at, side.value)
            self.check(self.cuda.cuStreamEndCapture(side, ctypes.byref(graph)), "recording a graph")
            self.check(self.cuda.cuGraphInstantiateWithFlags(ctypes.byref(ready), graph, 0), "the graph")
            self.check(self.cuda.cuGraphDestroy(graph), "the graph")
            graphs[key] = ready
        return graphs[key]

    # ---- on PyTorch's tensors

    def scratch(self, torch, own, stream, device):
        """This stream's scratch memory: [tensors, their addresses, what was prepared in them]"""
        kept = own["streams"].get(stream)
        if kept is None:
            made = [torch.empty(max(size, 1), dtype=torch.uint8, device=device)
                    for _, size in WARPSMITH_PLAN["scratch"]]
            kept = own["streams"][stream] = [made, [one.data_ptr() for one in made], None]
        return kept

    def specs(self):
        """(what goes in, what comes out), each (name, type, shape, role, the tensor it shares memory with)"""
        import torch
        if self.known is None:
            every = [(name, getattr(torch, dtype), torch.Size(shape), role, alias[0] if alias else None)
                     for name, dtype, shape, role, *alias in WARPSMITH_PLAN["tensors"]]
            self.known = ([spec for spec in every if spec[3] != "output"],
                          [spec for spec in every if spec[3] == "output"])
        return self.known

    def accept(self, given, wanted, device):
        """The tensors as the kernels can have them; those that can't be are refused."""
        if len(given) != len(wanted):
            raise ValueError(f"{WARPSMITH_NAME}: {len(wanted)} tensors are wanted here, got {len(given)}")
        for i, (tensor, (name, dtype, shape, role, _)) in enumerate(zip(given, wanted)):
            if tensor.shape != shape or tensor.dtype != dtype or not tensor.is_cuda or tensor.device != device:
                raise ValueError(f"{WARPSMITH_NAME}: {name} must be a {dtype} tensor of {tuple(shape)} on one GPU, as the "
                                 f"kernels were bound; got {tensor.dtype} of {tuple(tensor.shape)} on {tensor.device}")
            if not tensor.is_contiguous() or tensor.data_ptr() % self.ALIGNED:
                if role == "inout":
                    raise ValueError(f"{WARPSMITH_NAME}: {name} is updated in place, so it must be contiguous and begin at a "
                                     f"multiple of {self.ALIGNED} bytes")
                import torch
                given[i] = tensor.clone(memory_format=torch.contiguous_format)
        return given

    @staticmethod
    def version(tensor):
        """What changes with a tensor's values; None where PyTorch doesn't keep count."""
        return None if tensor.is_inference() else tensor._version

    def prepare(self, own, kept, weights, at, stream):
        """The weights in the kernels' own form, unless they are still there. The tensors are held, not their addresses
        alone: another one may get the memory of one that is gone."""
        now = [(tensor, tensor.data_ptr(), self.version(tensor)) for tensor in weights]
        if kept[2] is None or any(a is not b or x != y or v is None or v != w
                                  for (a, x, v), (b, y, w) in zip(kept[2], now)):
            self.enqueue(own["prepare"], at, stream)
            kept[2] = now

    def __call__(self, given, held=()):
        """Tensors in the plan's order: `given` are looked at in every call, `held` (a module's own) when one of them has
        moved. Returns the outputs, a tensor or a tuple."""
        import torch
        wanted, made = self.specs()
        device = given[0].device if given else held[0].device
        given = self.accept(list(given), wanted[:len(wanted) - len(held)], device)
        if device.index != torch.cuda.current_device():
            with torch.cuda.device(device):
                return self(given, held)
        outputs = [torch.empty(shape, dtype=dtype, device=device) if alias is None else given[alias].view(shape)
                   for _, dtype, shape, _, alias in made]
        with self.lock:
            own, stream = self.device(device.index), torch.cuda.current_stream().cuda_stream
            kept = self.scratch(torch, own, stream, device)
            at_held = [tensor.data_ptr() for tensor in held]
            if at_held != own.get("held", ()):
                if any(a is not b for a, b in zip(held, self.accept(list(held), wanted[len(given):], device))):
                    raise ValueError(f"{WARPSMITH_NAME}: a module's tensors must be contiguous and begin at a multiple of "
                                     f"{self.ALIGNED} bytes")
                own["held"] = at_held
            at = [tensor.data_ptr() for tensor in given] + at_held + [tensor.data_ptr() for tensor in outputs] + kept[1]
            if own["prepare"]:
                weights = [t for t, spec in zip([*given, *held], wanted) if spec[3] == "weight"]
                self.prepare(own, kept, weights, at, stream)
            if WARPSMITH_PLAN["graph"] and not torch.cuda.is_current_stream_capturing():
                self.check(self.cuda.cuGraphLaunch(self.graph(own, at), stream), "the graph")
            else:
                self.enqueue(own["launches"], at, stream)
        return outputs[0] if len(outputs) == 1 else tuple(outputs)


warpsmith_kernel = WarpsmithKernel()
