#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
The oracle: PyTorch's word on what is right, for problems in KernelBench's form (a Python file with
Model, get_inputs and get_init_inputs).

warpsmith starts this program once and talks to it in frames (base/frame.h) on descriptor 3. Jobs:

  describe  what a problem computes: tensors, scalars, symbols, and why it can't be judged, if so
  know      such a description, from another of these programs: it isn't made again
  facts     of a problem that was judged: how (double, slices), by how much f32 misses that, seconds spent
  open      shared memory for one judgement; its descriptor goes to the device worker over 4
  make      weights and inputs into the shared memory, by seed and distribution
  run       the reference on what lies there, in double where PyTorch can; outputs into the memory
  close     gives back what was only lent for speed; the rest stays until another problem is opened
  baseline  how long PyTorch itself takes: eager with TF32 off and on, torch.compile

Every failure is an answer with "error"; a crash ends the problem's judgement, never the campaign.
Inputs come from the problem's own get_inputs, whose random sources are replaced: so triangular
matrices stay triangular, and still nobody without the seed knows a value.
  oracle.py --selftest   checks itself on the CPU
"""
import ctypes
import json
import math
import mmap
import os
import signal
import socket
import struct
import sys
import time
from contextlib import contextmanager

try:
    import oracle_protocol
    import torch
    from oracle_compare import apart, round_to, unlike
    from oracle_inputs import MODES, is_unary, seed_all
    from oracle_problem import (DTYPES, Problem, Trouble, as_pytorch_was, call, describe, hash_of, is_memory,
                                said, spread_constants, spread_counts, state_of)
except ImportError as problem:  # said in the hello, where the user sees it
    torch, torch_error = None, problem

HELLO, JOB, RESULT = 1, 2, 4
HEADER = struct.Struct("<IHHQIIQ")
MAGIC, VERSION = 0x4D535057, 1
DEAR = 0.2  # seconds after which only the telling distributions are tried
SMALL = 1 << 28  # bytes that may stay
TELLING = ("own", "offset", "edges")
TENSOR = object()  # among a problem's arguments: the next tensor
ALIKE = 1e-6  # of the largest: samples that don't know of each other agree to f64's rounding, or to f32's constants
MANTISSA = {"tf32": 10, "f16": 10, "bf16": 7, "f8e4m3": 3, "f8e5m2": 2}  # bits, without the leading one
# ---- frames


def read_exactly(fd, n):
    parts = []
    while n:
        part = os.read(fd, min(n, 1 << 20))
        if not part:
            return None
        parts.append(part)
        n -= len(part)
    return b"".join(parts)


def read_frame(fd):
    """(id, json), or None when the agent hung up."""
    head = read_exactly(fd, HEADER.size)
    if head is None:
        return None
    magic, version, kind, job, json_len, _, blob_len = HEADER.unpack(head)
    if magic != MAGIC or version != VERSION or kind != JOB:
        raise SystemExit("oracle: what came on descriptor 3 is no job")
    text = read_exactly(fd, json_len)
    read_exactly(fd, blob_len)
    return job, json.loads(text)


def write_frame(fd, kind, job, value):
    text = json.dumps(value, allow_nan=False).encode()
    out = memoryview(HEADER.pack(MAGIC, VERSION, kind, job, len(text), 0, 0) + text)
    while out:
        out = out[os.write(fd, out):]


# ---- memory shared with the device worker


class Arena:
    """One allocation of its own, whose descriptor can be given away: a memfd, or memory of the GPU."""

    def __init__(self, size, device):
        self.size, self.device, self.driver = size, device, None
        if device == "cpu":
            self.fd = os.memfd_create("warpsmith-oracle", os.MFD_CLOEXEC)
            os.ftruncate(self.fd, size)
            self.map = mmap.mmap(self.fd, size)
            self.bytes = torch.frombuffer(self.map, dtype=torch.uint8)
        else:
            self.allocate(torch.device(device).index or 0)

    def check(self, name, *args):
        code = getattr(self.driver, name)(*args)
        if code == 2:
            raise MemoryError("out of memory")
        if code:
            raise Trouble(f"{name} failed with CUDA error {code}")

    def allocate(self, index):
        torch.zeros(1, device=self.device)  # makes the context current
        self.driver = ctypes.CDLL("libcuda.so.1")
        # CUmemAllocationProp: pinned, by file descriptor, on this device
        prop = struct.pack("<iiiiQQ", 1, 1, 1, index, 0, 0)
        unit, handle, base = ctypes.c_size_t(), ctypes.c_ulonglong(), ctypes.c_ulonglong()
        fd = ctypes.c_int(-1)
        self.check("cuMemGetAllocationGranularity", ctypes.byref(unit), prop, 0)
        self.mapped = ctypes.c_size_t(-(-self.size // unit.value) * unit.value)
        none = ctypes.c_ulonglong(0)
        torch.cuda.empty_cache()
        self.check("cuMemCreate", ctypes.byref(handle), self.mapped, prop, none)
        self.check("cuMemExportToShareableHandle", ctypes.byref(fd), handle, 1, none)
        self.check("cuMemAddressReserve", ctypes.byref(base), self.mapped, ctypes.c_size_t(0), none, none)
        self.check("cuMemMap", base, self.mapped, ctypes.c_size_t(0), handle, none)
        self.check("cuMemSetAccess", base, self.mapped, struct.pack("<iii", 1, index, 3),
                   ctypes.c_size_t(1))
        self.check("cuMemRelease", handle)  # lives while it is mapped
        self.fd, self.base = fd.value, base
        view = type("View", (), {"__cuda_array_interface__": {
            "data": (base.value, False), "shape": (self.size,), "typestr": "|u1", "version": 3}})
        self.bytes = torch.as_tensor(view(), device=self.device)

    def view(self, at, shape, dtype):
        size = math.prod(shape) * torch.empty(0, dtype=dtype).element_size()
        return self.bytes[at:at + size].view(dtype).reshape(shape)

    def close(self):
        self.bytes = None
        os.close(self.fd)
        if self.driver:
            torch.cuda.synchronize()
            self.check("cuMemUnmap", self.base, self.mapped)
            self.check("cuMemAddressFree", self.base, self.mapped)


# ---- a judgement


@contextmanager
def doubles():
    """What forward makes itself is double, too."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


class Judgement:
    """What is open between `open` and `close`."""

    def __init__(self, job, device, described):
        self.device, self.method = device, None
        self.problem = Problem(job["problem"], job.get("hash"))
        first = self.look(bool(job.get("plain")))
        self.fixed = [TENSOR if torch.is_tensor(v) else v for v in first]
        parts = [described[k] for k in ("inputs", "weights", "inout", "outputs")]
        want = [t for part in parts for t in part]
        if [[t["dtype"], math.prod(t["shape"])] for t in want] != job["tensors"]:
            raise Trouble("the task's tensors are not the problem's")
        del first
        self.far = is_unary(parts[0], parts[1])
        self.model = self.problem.model(device)
        self.fresh = [t.detach().clone() for _, t in state_of(self.model)[1]]  # a norm's constants, whatever the seed
        self.precise = self.drawn = None
        places, end = [], 0
        for t in want:
            places.append(end)
            end += -(-math.prod(t["shape"]) * torch.empty(0, dtype=self.dtype(t)).element_size()
                     // 512) * 512
        self.places, self.arena = places, Arena(max(end, 512), device)
        views = [self.arena.view(at, t["shape"], self.dtype(t)) for at, t in zip(places, want)]
        counts = [len(part) for part in parts]
        self.parts = [views[sum(counts[:i]):sum(counts[:i + 1])] for i in range(4)]
        try:
            self.units = bool(job.get("plain")) or (not self.takes_normals() and self.finite(True))
        except BaseException:
            self.close()
            raise

    def look(self, cheaply):
        """The inputs, to see which aren't tensors; without data where that will do and PyTorch can."""
        try:
            return self.problem.inputs("meta" if cheaply else self.device)
        except Trouble:
            if not cheaply:
                raise
        return self.look(False)

    def twice(self, tensors):
        """Two runs of the same must agree, or no candidate could."""
        runs = []
        self.make({"inputs": 2, "weights": 2})
        for seed in (3, 4):
            self.make({"inout": 2})
            seed_all(seed)
            self.as_is()
            runs.append([t.clone() for t in tensors])
        for a, b in zip(*runs):
            if a.is_floating_point() and a.numel() and bool(b.isfinite().all()):
                if float((a - b).abs().max()) > 1e-2 * float(b.abs().max()):
                    raise Trouble("two runs on the same inputs differ: forward draws random numbers, or keeps a "
                                  "state that is no buffer")

    def own_error(self, bits=None):
        """For inout and outputs: by how much the run as it is misses the one in double, at most and as RMS,
        as shares of the RMS, over the distributions. What f32 itself can't keep isn't asked of anyone.
        With `bits`, also the most for each distribution where inputs and weights have so many bits of mantissa
        only: what operands of that precision bring about."""
        tensors = self.parts[2] + self.parts[3]
        off, rounded = [[0.0, 0.0] for _ in tensors], [{} for _ in tensors]
        self.twice(tensors)
        began = time.monotonic()
        for mode in MODES:
            if mode not in TELLING and time.monotonic() - began > DEAR:
                continue
            coarse = self.coarsely(mode, bits) if bits else [None] * len(tensors)
            self.make({"inputs": 2, "inout": 2, "mode": mode})
            self.as_is()
            own = [t.clone() for t in tensors]
            self.make({"inout": 2})
            self.run()
            for i, (a, b) in enumerate(zip(own, tensors)):
                worst, whole = apart(a, b)
                off[i] = [max(off[i][0], worst), max(off[i][1], whole)]
                if bits:
                    rounded[i][mode] = apart(coarse[i], b)[0]
        # The distributions that were left out are held to what the others showed.
        return off, [[r.get(mode, max(r.values(), default=0.0)) for mode in MODES] if bits else [] for r in rounded]

    def coarsely(self, mode, bits):
        """The run as it is on inputs and weights that are rounded to `bits` of mantissa."""
        self.make({"inputs": 2, "inout": 2, "mode": mode})
        for view in self.parts[0] + self.parts[1]:
            if view.dtype == torch.float32:
                round_to(view, bits)
        self.as_is()
        kept = [t.clone() for t in self.parts[2] + self.parts[3]]
        self.make({"weights": 2})
        return kept

    @staticmethod
    def dtype(t):
        return getattr(torch, DTYPES[t["dtype"]])

    def takes_normals(self):
        try:
            return self.finite(False)
        except Trouble as trouble:  # a cross entropy of probabilities, say, refuses others
            if "CUDA error" in str(trouble):
                raise
            return False

    def finite(self, units):
        """Are the outputs numbers, for normal (or uniform) inputs?"""
        self.make({"inputs": 2, "weights": 2, "inout": 2}, units)
        self.as_is()
        return all(bool(o.isfinite().all()) for o in self.parts[3])

    def make(self, job, units=None):
        inputs, weights, inout, _ = self.parts
        units = self.units if units is None else units
        if job.get("inputs") is not None:
            made = self.problem.inputs(self.device, job["inputs"], job.get("mode", "own"), units, self.far)
            for view, value in zip(inputs, [v for v in made if torch.is_tensor(v)]):
                view.copy_(value)
        if job.get("weights") is not None and weights:
            for view, (_, value) in zip(weights, state_of(self.draw(job["weights"]))[0]):
                view.copy_(value.detach())
        if job.get("inout") is not None and inout:
            made = [t.clone() for t in self.fresh]
            spread_constants(made, job["inout"])
            spread_counts(made, job["inout"])
            for view, value in zip(inout, made):
                view.copy_(value)

    def draw(self, seed):
        """A model with the weights of this seed. The last one stays: a network's layers take longer to make
        than to run."""
        if not self.drawn or self.drawn[0] != seed:
            self.drawn = None
            model = self.problem.model(self.device, seed)
            spread_constants([t for _, t in state_of(model)[0]], seed)
            self.drawn = (seed, model)
        model = self.drawn[1]
        if sum(t.numel() for _, t in state_of(model)[0]) > SMALL:
            self.drawn = None
        return model

    def arguments(self, cast):
        tensors = iter(self.parts[0])
        return [cast(next(tensors)) if v is TENSOR else v for v in self.fixed]

    def once(self, model, cast, pick=None):
        weights, inout, outputs = self.parts[1:]
        before = state_of(model)
        with torch.no_grad():
            for views, pairs in ((weights, before[0]), (inout, before[1])):
                if len(views) != len(pairs):
                    raise Trouble("parameters or buffers share their memory, or not, by where the model is")
                for view, (_, t) in zip(views, pairs):
                    t.copy_(view)
        arguments = self.arguments(cast)
        result = call(self.problem, model, pick(arguments) if pick else arguments)
        if pick is None:
            for view, value in zip(outputs, result):
                view.copy_(value.reshape(view.shape))
            for view, (_, value) in zip(inout, state_of(model)[1]):
                view.copy_(value)
        return result

    def in_double(self):
        if self.precise is None:
            self.precise = self.problem.model(self.device).double()
        with doubles():
            self.once(self.precise, lambda t: t.double() if t.is_floating_point() else t.clone())

    def as_is(self):
        self.once(self.model, lambda t: t.clone())

    def rows(self, a, b):
        """The reference in double on a part of the batch."""
        n = self.parts[0][0].shape[0]

        def part(v):
            v = v[a:b] if v.dim() and v.shape[0] == n else v
            return v.to(torch.float64 if v.is_floating_point() else v.dtype, copy=True)

        with doubles():
            return self.once(self.precise, lambda t: t, lambda args: [part(v) if torch.is_tensor(v) else v for v in args])

    def in_slices(self, pieces):
        """In double, a part of the batch at a time: only where that agrees with the whole, roughly, since the whole is
        known in f32 alone, and where a sample's outputs don't change with who is beside it: statistics over a large
        batch (a mean, a norm that keeps none) are almost a slice's own."""
        inputs, _, inout, outputs = self.parts
        n = inputs[0].shape[0] if inputs[0].dim() else 0
        if inout or n < pieces or any(not o.dim() or o.shape[0] != n for o in outputs):
            raise Trouble("this problem can't be cut into slices")
        self.as_is()
        kept = [o.clone() for o in outputs]
        self.precise = self.precise or self.problem.model(self.device).double()
        for k in range(pieces):
            a, b = n * k // pieces, n * (k + 1) // pieces
            part = self.rows(a, b)
            if any(o.shape[0] != b - a for o in part):
                raise Trouble("this problem can't be cut into slices")
            if k == 0:
                alone = self.rows(0, b // 2 or 2)
                if any(unlike(*(o[:b // 2 or 1] for o in pair), ALIKE) for pair in zip(alone, part)):
                    raise Trouble("this problem's samples depend on each other")
            for view, value, whole in zip(outputs, part, kept):
                view[a:b].copy_(value)
                if unlike(view[a:b], whole[a:b], 1e-3):
                    raise Trouble("this problem's slices don't make up the whole")

    def run(self):
        ways = {"double": self.in_double, "slices of 4": lambda: self.in_slices(4),
                "slices of 16": lambda: self.in_slices(16), "as is": self.as_is}
        for name, way in ways.items():
            if self.method and list(ways).index(name) < list(ways).index(self.method):
                continue  # it failed before
            try:
                way()
                self.method = name
                return None
            except Exception as trouble:
                if name == "as is" or not (is_memory(trouble) or isinstance(trouble, (Trouble, RuntimeError))):
                    raise
            self.precise = self.precise if name != "slices of 16" else None
            clean(self.device)
        return None

    def close(self):
        self.parts = self.model = self.precise = self.drawn = None
        self.arena.close()


def clean(device):
    if device != "cpu":
        torch.cuda.empty_cache()


# ---- PyTorch's own time


def time_one(call_once, device, samples=50):
    """Microseconds: median and quartiles of runs with a cold L2."""
    l2 = torch.cuda.get_device_properties(device).L2_cache_size
    flush = torch.empty(2 * l2, dtype=torch.uint8, device=device)
    for _ in range(5):
        call_once()
    times, began = [], time.monotonic()
    while len(times) < samples and (len(times) < 5 or time.monotonic() - began < 3):
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        flush.zero_()
        start.record()
        call_once()
        stop.record()
        torch.cuda.synchronize()
        times.append(1e3 * start.elapsed_time(stop))
    times.sort()
    mean = sum(times) / len(times)
    return {"median_us": times[len(times) // 2], "lo_us": times[len(times) // 4],
            "hi_us": times[3 * len(times) // 4], "n": len(times), "mean_us": mean,
            "std_us": math.sqrt(sum((t - mean) ** 2 for t in times) / len(times)), "min_us": times[0],
            "max_us": times[-1]}


def baseline(job, device):
    if device == "cpu":
        raise Trouble("PyTorch's own time needs a GPU; on the simulator there's nothing to compare with")
    problem = Problem(job["problem"], job.get("hash"))
    model, inputs = problem.model(device), problem.inputs(device, units=True)
    out = {}
    for name in job["variants"]:
        tf32 = name != "eager"
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
        run = model if name.startswith("eager") else torch.compile(
            model, mode="max-autotune" if name == "max_autotune" else "default")
        try:
            with torch.no_grad():
                out[name] = time_one(lambda: run(*inputs), device)
        except Exception as trouble:
            out[name] = {"error": str(said(problem.path, name, trouble))}
        finally:
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
            clean(device)
    return {"baselines": out}


# ---- serving


class Server:
    def __init__(self, device):
        self.device, self.judgement, self.serial = device, None, 0
        self.described, self.off, self.facts = {}, {}, {}
        self.broken = False  # the GPU's context is, or a descriptor: only a new process can go on

    def describe(self, path):
        if self.described.get(path, {}).get("hash") != hash_of(path):
            self.described[path] = describe(path, self.device)
        return self.described[path]

    def close(self):
        if self.judgement:
            self.judgement.close()
        self.judgement = None
        clean(self.device)

    def open(self, job):
        described = self.describe(job["problem"])
        if described["unsupported"]:
            raise Trouble(described["unsupported"])
        key = (job["problem"], job.get("hash"), described["hash"], job["tensors"], job.get("plain"))
        if not self.judgement or self.judgement.key != key:
            self.close()
            self.judgement = Judgement(job, self.device, described)
            self.judgement.key = key
        j = self.judgement
        bits = MANTISSA.get(job.get("precision"))
        known = (j.problem.hash, j.method, bits)
        if known not in self.off and not job.get("plain"):
            self.off[known] = j.own_error(bits)
            self.off[j.problem.hash, j.method, bits] = self.off[known]  # it is known by now
        n = len(j.parts[2]) + len(j.parts[3])
        off, rounded = self.off.get(known, ([[0, 0]] * n, [[]] * n))
        self.serial += 1
        tensors = described["inout"] + described["outputs"]
        self.facts[job["problem"]].update(
            method=j.method, inputs="uniform" if j.units else "normal",
            off={t["name"]: {"most": most, "rms": rms} for t, (most, rms) in zip(tensors, off)})
        with socket.socket(fileno=os.dup(4)) as to_worker:
            socket.send_fds(to_worker, [struct.pack("<Q", self.serial)], [self.judgement.arena.fd])
        ins = len(j.parts[0]) + len(j.parts[1])
        return {"serial": self.serial, "bytes": j.arena.size, "host": self.device == "cpu",
                "places": j.places, "method": j.method, "off": [[0, 0]] * ins + off,
                "rounded": [[]] * ins + rounded,
                "inputs": "uniform" if j.units else "normal", "hidden": oracle_protocol.hidden(j.problem)}

    def answer(self, job):
        kind = job.get("kind")
        if kind == "describe":
            return self.describe(job["problem"])
        if kind == "know":
            self.described[job["problem"]] = job["described"]
            return {}
        if kind == "facts":
            return self.facts.pop(job["problem"], {})
        if kind == "open":
            return self.open(job)
        if kind == "baseline":  # needs the room
            self.close()
        if kind == "baseline" and "rule" in job:
            return oracle_protocol.baseline(job, self.device)
        if kind == "baseline":
            return baseline(job, self.device)
        if kind == "close":  # it is kept: the next candidate is often for the same problem; who needs the room closes
            if self.judgement and self.judgement.arena.size > SMALL:
                clean(self.device)
            return {}
        if kind in ("make", "run") and not self.judgement:
            raise Trouble("nothing is open: the oracle was restarted meanwhile")
        if kind == "make" and job.get("plain"):
            oracle_protocol.make(self.judgement, job)
        elif kind == "run" and job.get("plain"):
            oracle_protocol.run(self.judgement)
        elif kind == "make":
            self.judgement.make(job)
        elif kind == "run":
            self.judgement.as_is() if job.get("as_is") else self.judgement.run()
        else:
            raise Trouble(f"no kind of job is called \"{kind}\"")
        if self.device != "cpu":
            torch.cuda.synchronize()
        return {"method": self.judgement.method}

    def safely(self, job):
        as_pytorch_was()
        began, facts = time.monotonic(), self.facts.setdefault(job.get("problem"), {"spent": {}})
        try:
            answer = {"ok": True, **self.answer(job)}
            spent = facts["spent"]
            spent[job["kind"]] = spent.get(job["kind"], 0) + time.monotonic() - began
            return answer
        except (Exception, SystemExit) as trouble:
            text = str(trouble) if isinstance(trouble, Trouble) else f"{type(trouble).__name__}: {trouble}"[:600]
            self.broken = "CUDA error" in text or isinstance(trouble, OSError)  # descriptor 4 was closed, say
            if is_memory(trouble) and not isinstance(trouble, Trouble):
                text = "it needs more memory than there is: " + text
                self.close()
            # What a file made up for a message need not be text.
            return {"ok": False, "error": text.replace("\0", " ").encode(errors="replace").decode()}


def hello(device):
    out = {"role": "oracle", "python": sys.version.split()[0], "program": sys.executable}
    if torch is None:
        return {**out, "error": f"{sys.executable} has no PyTorch, 1.13 or newer ({torch_error}); install it (Debian: "
                "python3-torch) or name a Python that has it: WARPSMITH_PYTHON=/path/to/python3"}
    if device != "cpu" and not torch.cuda.is_available():
        return {**out, "error": f"the PyTorch of {sys.executable} ({torch.__version__}) can't use the GPU"}
    name = "cpu" if device == "cpu" else torch.cuda.get_device_name(device)
    return {**out, "torch": torch.__version__, "cuda": torch.version.cuda or "", "device": name}


def end_with_agent():
    """A file's endless loop would never notice that the agent was killed."""
    death_signal = 1  # PR_SET_PDEATHSIG
    ctypes.CDLL(None).prctl(death_signal, signal.SIGKILL)


def serve(device):
    end_with_agent()
    first = hello(device)
    write_frame(3, HELLO, 0, first)
    if "error" in first:
        return 3
    server = Server(device)
    while True:
        frame = read_frame(3)
        if frame is None:
            return 0
        write_frame(3, RESULT, frame[0], server.safely(frame[1]))
        if server.broken:
            return 4


if __name__ == "__main__":
    if sys.argv[1:] == ["--selftest"]:
        import oracle_selftest
        sys.exit(oracle_selftest.main())
    sys.exit(serve(sys.argv[1] if len(sys.argv) > 1 else "cpu"))
