# SPDX-License-Identifier: MIT
"""
A problem in KernelBench's form, imported and described: what goes in, what comes out, what a candidate
gets as weights, and why it can't be judged where it can't.
"""
import hashlib
import importlib.util
import inspect
import math
import os
import sys
import traceback

import torch
from oracle_inputs import Sources, on, seed_all

DTYPES = {"f64": "float64", "f32": "float32", "f16": "float16", "bf16": "bfloat16", "i64": "int64",
          "i32": "int32", "i16": "int16", "i8": "int8", "u8": "uint8", "bool": "bool"}
OWN = os.getpid()


class Trouble(Exception):
    """Something the user can read and act on."""


def dtype_name(dtype):
    for name, of_torch in DTYPES.items():
        if dtype == getattr(torch, of_torch):
            return name
    raise Trouble(f"a tensor of {dtype}: no such element type here")


def where(problem):
    """The last line of the problem's own file that the exception in hand went through."""
    lines = [frame.lineno for frame in traceback.extract_tb(sys.exc_info()[2])
             if frame.filename == problem]
    return f" (line {lines[-1]})" if lines else ""


def said(path, what, problem):
    return Trouble(f"{os.path.basename(path)}: {what}: {type(problem).__name__}: "
                   f"{str(problem).strip() or 'no reason given'}"[:600] + where(path))


def as_pytorch_was():
    """Whatever a problem's file has set, the next question finds PyTorch as it was imported, and f32 is f32."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.enabled = True
    torch.backends.cudnn.benchmark = torch.backends.cudnn.deterministic = False
    torch.set_default_dtype(torch.float32)
    torch.set_grad_enabled(True)
    if torch.are_deterministic_algorithms_enabled():  # turning it off may import the compiler, which takes seconds
        torch.use_deterministic_algorithms(False)
    # PyTorch 2. Where none was set none is taken back: some versions' get_default_device fails after that.
    if getattr(getattr(torch, "_GLOBAL_DEVICE_CONTEXT", None), "device_context", None) is not None:
        torch.set_default_device(None)


def by_torch(function, name):
    """PyTorch wraps some of its own when more of it is imported (torch.manual_seed for torch.compile)."""
    home = getattr(function, "__globals__", {}).get("__name__", "torch")
    return getattr(function, "__name__", None) == name and home.split(".")[0] == "torch"


class Untouched:
    """PyTorch's functions, Tensor's methods and the layers' forwards stay what they are while this is active: who
    changes one changes it for every problem after this one, too."""

    def __enter__(self):
        layers = [c for c in vars(torch.nn).values() if isinstance(c, type)]
        self.kept = [(place, dict(vars(place))) for place in (torch, torch.Tensor, torch.nn, torch.nn.functional, *layers)]
        return self

    def __exit__(self, *_):
        changed = []
        for place, before in self.kept:
            now = dict(vars(place))
            for name in now.keys() | before.keys():
                own = before.get(name)
                hides = own is None and isinstance(place, type) and hasattr(super(place, place), name)
                function = callable(own) and not isinstance(own, type)  # a default dtype changes torch.Storage
                if name.startswith("_") or now.get(name) is own or not (function or hides):
                    continue
                if by_torch(now.get(name), name):
                    continue
                changed.append(f"{place.__name__}.{name}")
                if hides:
                    delattr(place, name)
                else:
                    setattr(place, name, own)
        if changed:
            raise Trouble(f"it changes {min(changed)}, which would be changed for every other problem, too")


def end_children():
    """After each call into a problem's file: whose process isn't this program's came of a fork in there."""
    if os.getpid() != OWN:
        os._exit(0)


def hash_of(path):
    """The file's id, as base/id.h makes it: its length, then its bytes."""
    try:
        with open(path, "rb") as file:
            text = file.read()
        return hashlib.blake2b(len(text).to_bytes(8, "little") + text, digest_size=32).hexdigest()
    except OSError as problem:
        raise Trouble(f"{path}: {problem.strerror}") from problem


class Problem:
    """One problem's file, imported. Nothing is drawn yet."""

    def __init__(self, path, expected_hash=None):
        self.path, self.hash = path, hash_of(path)
        if expected_hash and expected_hash != self.hash:
            raise Trouble(f"{path} has changed since the run began; start a new one")
        spec = importlib.util.spec_from_file_location("problem_" + self.hash[:16], path)
        self.module = importlib.util.module_from_spec(spec)
        try:
            with Untouched():
                spec.loader.exec_module(self.module)
            end_children()
        except Trouble as problem:
            raise Trouble(f"{os.path.basename(path)}: {problem}") from problem
        except (Exception, SystemExit) as problem:
            raise said(path, "it can't be imported", problem) from problem
        for name in ("Model", "get_inputs", "get_init_inputs"):
            if not callable(getattr(self.module, name, None)):
                raise Trouble(f"{os.path.basename(path)}: there is no {name} in it")

    def model(self, device, seed=0):
        try:
            with on(device):
                seed_all(seed)
                model = self.module.Model(*self.module.get_init_inputs())
            end_children()
            return model if device == "meta" else model.to(device)
        except (Exception, SystemExit) as problem:
            raise said(self.path, "Model can't be made", problem) from problem

    def inputs(self, device, seed=0, mode="own", units=False, far=False):
        try:
            with Sources(device, seed, mode, units, far) as sources, on(device):
                values = self.module.get_inputs()
                end_children()
                if torch.is_tensor(values) or isinstance(values, str):
                    raise TypeError(f"it returns a {type(values).__name__}, not a list")
                values = list(values)
        except (Exception, SystemExit) as problem:
            raise said(self.path, "get_inputs", problem) from problem
        inside = [type(v).__name__ for v in values if not torch.is_tensor(v) and has_tensors(v)]
        if inside:
            raise Trouble(f"{os.path.basename(self.path)}: get_inputs: a {inside[0]} with tensors in it; an input is a "
                          "tensor or a number")
        self.drawn = sources.drawn
        return [v.detach().contiguous() if torch.is_tensor(v) else v for v in values]

    def symbols(self):
        """Whole numbers that the file names."""
        return {name: value for name, value in vars(self.module).items()
                if type(value) is int and 0 < value < 1 << 40 and not name.startswith("_")}

    def argument_names(self, n):
        names = [p for p in inspect.signature(self.module.Model.forward).parameters][1:]
        return [names[i] if i < len(names) else f"x{i}" for i in range(n)]


def has_tensors(value):
    if isinstance(value, dict):
        value = list(value.values())
    return torch.is_tensor(value) or isinstance(value, (list, tuple, set)) and any(map(has_tensors, value))


def state_of(model):
    """(weights, updated): parameters and buffers by name; the second are those that forward changes."""
    changed = set()
    norms = (torch.nn.modules.batchnorm._BatchNorm, torch.nn.modules.instancenorm._InstanceNorm)
    for path, module in model.named_modules():
        if isinstance(module, norms) and module.training and module.track_running_stats:
            changed |= {f"{path}.{name}".lstrip(".")
                        for name, _ in module.named_buffers(recurse=False)}
    every = list(model.named_parameters()) + list(model.named_buffers())
    return ([(n, t) for n, t in every if n not in changed], [(n, t) for n, t in every if n in changed])


def spread_constants(tensors, seed):
    """A bias of zeros and a scale of ones would hide who ignores them: values of their own instead."""
    generator = None
    for t in tensors:
        constant = t.is_floating_point() and t.numel() > 0 and bool((t == t[(0,) * t.dim()]).all())
        if constant and (isinstance(t, torch.nn.Parameter) or t.dim() == 1):
            generator = generator or torch.Generator(t.device).manual_seed(seed)
            with torch.no_grad():
                t.add_(torch.rand(t.shape, generator=generator, device=t.device).sub_(0.5).mul_(0.5))


def spread_counts(tensors, seed):
    """A count that always begins at zero would hide who writes one instead of adding it."""
    for i, t in enumerate(tensors):
        if t.dim() == 0 and t.dtype == torch.int64:
            t.add_(1 + (seed + i) % 1000)


def call(problem, model, inputs):
    """The outputs as a list of tensors, without whatever gradients would need."""
    try:
        with torch.no_grad(), on(inputs_device(inputs)):
            result = model(*inputs)
            end_children()
    except (Exception, SystemExit) as trouble:
        if is_memory(trouble):
            raise
        raise said(problem.path, "forward", trouble) from trouble
    outputs = list(result) if isinstance(result, (list, tuple)) else [result]
    if not outputs or not all(torch.is_tensor(o) for o in outputs):
        raise Trouble(f"{os.path.basename(problem.path)}: forward returns something other than tensors")
    if any(o.layout != torch.strided for o in outputs):
        raise Trouble(f"{os.path.basename(problem.path)}: forward returns a sparse tensor")
    return [o.detach() for o in outputs]


def inputs_device(inputs):
    return next((str(i.device) for i in inputs if torch.is_tensor(i)), "cpu")


def is_memory(problem):
    return "out of memory" in str(problem).lower() or isinstance(problem, MemoryError) \
        or "can't allocate memory" in str(problem)


def draws(problem, model):
    """Does forward draw random numbers? Then no candidate could agree with it."""
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.modules.dropout._DropoutNd) and module.training and module.p > 0:
            return f"forward draws random numbers ({name}, a dropout of {module.p:g})"
    try:
        tree = inspect.getsource(problem.module.Model.forward)
    except (OSError, TypeError):
        return None
    found = [n for n in Sources.NAMES if f"torch.{n}(" in tree]
    return f"forward draws random numbers (torch.{found[0]})" if found else None


def tensor_json(name, t):
    out = {"name": name, "dtype": dtype_name(t.dtype), "shape": list(t.shape)}
    if not t.is_floating_point() and t.dtype != torch.bool:
        # Drawn by the oracle; the bound is for modelled runs, which only need valid indices.
        out["bound"] = int(t.max()) + 1 if t.device.type != "meta" and t.numel() else 1
    return out


def total_bytes(*groups):
    return sum(t.numel() * t.element_size() for group in groups for t in group if torch.is_tensor(t))


def room(device):
    """Bytes that could be taken now."""
    if device == "cpu":
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return torch.cuda.mem_get_info(device)[0]


def counted(problem, model, inputs):
    """The outputs, and the operations of matrix products and convolutions; None: this PyTorch can't count."""
    try:
        from torch.utils.flop_counter import FlopCounterMode
    except ImportError:
        return call(problem, model, inputs), None
    with FlopCounterMode(display=False) as counter:
        outputs = call(problem, model, inputs)
    return outputs, int(counter.get_total_flops())


def shapes(problem, device):
    """(model, inputs, (outputs, flops)): without data if PyTorch can tell shapes so, else by a run."""
    inputs, needs = problem.inputs("meta"), 0
    try:
        model = problem.model("meta")
        needs = 4 * total_bytes(inputs, model.parameters(), model.buffers())
        return model, inputs, counted(problem, model, inputs)
    except Exception as trouble:
        needs = max(needs, 4 * total_bytes(inputs))
        if needs > room(device):
            raise Trouble(f"this PyTorch ({torch.__version__}) tells no shapes without a run, which would take "
                          f"about {needs >> 20} MiB here: {str(trouble)[:200]}") from trouble
    model, inputs = problem.model(device), problem.inputs(device)
    return model, inputs, counted(problem, model, inputs)


def describe(path, device):
    problem = Problem(path)
    model, inputs, (outputs, flops) = shapes(problem, device)
    weights, updated = state_of(model)
    unsupported = draws(problem, model)
    if not problem.drawn:
        unsupported = unsupported or ("get_inputs draws nothing by torch.rand, randn, randint, randperm or their _like: "
                                      "other inputs can't be made")
    named = list(zip(problem.argument_names(len(inputs)), inputs))
    endless = [n for n, v in named if isinstance(v, float) and not math.isfinite(v)]
    if endless:
        unsupported = unsupported or f"{endless[0]} is no finite number"
    return {"name": os.path.splitext(os.path.basename(path))[0], "hash": problem.hash,
            "symbols": problem.symbols(), "unsupported": unsupported,
            **({} if flops is None else {"flops": flops}),
            "bytes": total_bytes(inputs, outputs, [t for _, t in weights + updated]),
            "inputs": [tensor_json(n, v) for n, v in named if torch.is_tensor(v)],
            "scalars": [{"name": n, "value": v, "kind": type(v).__name__} for n, v in named
                        if isinstance(v, (bool, int, float)) and n not in endless],
            "weights": [tensor_json(n, t) for n, t in weights],
            "inout": [tensor_json(n, t) for n, t in updated],
            "outputs": [tensor_json("y" if len(outputs) == 1 else f"y{i}", o)
                        for i, o in enumerate(outputs)]}
