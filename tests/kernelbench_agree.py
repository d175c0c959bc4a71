#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Does `--protocol kb` say what KernelBench's own eval.py says, and how long does each take?

    kernelbench_agree.py small --warpsmith build/bin/warpsmith --upstream KernelBench [--gpu 0]
    kernelbench_agree.py full --warpsmith build/bin/warpsmith --upstream KernelBench --suite KernelBench --run runs/NAME

small: the forty candidates of tests/cases/agree, half of them wrong, by both: every verdict must be the same.
Without --upstream (and on the simulator, --gpu sim) ours alone is held against what they were written to be.
full: what a run left (`kernelbench run --protocol kb --out runs/NAME`) is exported and judged once more by
KernelBench, five trials and a hundred timed runs: its speedup against ours, its time against ours.

KernelBench's eval.py and timing.py are imported from the checkout. What they import and don't use here
(pydantic, requests, the packages of utils.py) is stood in for where it is missing. Needs PyTorch with a GPU
for KernelBench's part; ours uses WARPSMITH_PYTHON as ever. Exit code 0: all agree; 1: not; 77: nothing to ask.
"""
import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
import types

HERE = os.path.dirname(os.path.abspath(__file__))
RIGHT = (0, 1)  # values of VARIANT


def import_upstream(checkout):
    """KernelBench's eval module, by the name that its own parts know it under."""
    src = os.path.join(checkout, "src")
    if not os.path.exists(os.path.join(src, "kernelbench", "eval.py")):
        raise SystemExit(f"{checkout}: there's no src/kernelbench/eval.py in it")
    for name, fill in (("pydantic", stand_in_model), ("requests", lambda m: None)):
        try:
            __import__(name)
        except ImportError:
            sys.modules[name] = types.ModuleType(name)
            fill(sys.modules[name])
    package = types.ModuleType("kernelbench")  # its __init__ imports utils.py, whose clients nobody needs here
    package.__path__ = [os.path.join(src, "kernelbench")]
    sys.modules["kernelbench"] = package
    utils = types.ModuleType("kernelbench.utils")
    utils.get_gpu_vendor = lambda device=None: "nvidia"
    sys.modules["kernelbench.utils"] = utils
    import kernelbench.eval as module
    return module


def stand_in_model(module):
    class BaseModel:
        def __init__(self, **values):
            for cls in reversed(type(self).__mro__):
                for name in getattr(cls, "__annotations__", {}):
                    default = getattr(cls, name)
                    setattr(self, name, dict(default) if isinstance(default, dict) else default)
            for name, value in values.items():
                setattr(self, name, value)
    module.BaseModel = BaseModel


# ---- ours


def warpsmith(args, *command):
    done = subprocess.run([args.warpsmith, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise SystemExit(f"warpsmith {' '.join(command)}: exit code {done.returncode}\n{done.stdout}")
    return done.stdout


def lay_out(folder, only):
    """SUITE/level1/ID_Name.py and CANDIDATES/level1/ID/vN of the forty."""
    cases = os.path.join(HERE, "cases", "agree")
    names = sorted((n for n in os.listdir(cases) if n[0].isdigit()), key=lambda n: int(n.split("_")[0]))
    for name in [n for n in names if not only or n.split("_")[0] in only]:
        case, number = os.path.join(cases, name), name.split("_")[0]
        os.makedirs(f"{folder}/suite/level1", exist_ok=True)
        shutil.copyfile(f"{case}/problem.py", f"{folder}/suite/level1/{name}.py")
        with open(f"{case}/plan.json") as file:
            plan = json.load(file)
        for variant in range(4):
            to = f"{folder}/candidates/level1/{number}/v{variant}"
            os.makedirs(to)
            plan["params"]["VARIANT"] = variant
            shutil.copyfile(f"{case}/kernel.cu", f"{to}/kernel.cu")
            with open(f"{to}/plan.json", "w") as file:
                json.dump(plan, file)


def results(run):
    """[(level, id, sample, candidate)] of a run's files."""
    found = []
    for name in sorted(os.listdir(f"{run}/results")):
        with open(f"{run}/results/{name}") as file:
            one = json.load(file)
        found += [(one["level"], one["id"], k, c) for k, c in enumerate(one["candidates"])]
    return sorted(found, key=lambda f: f[:3])


def exported(folder, level, number, sample):
    for where, _, names in os.walk(folder):
        name = f"level_{level}_problem_{number}_sample_{sample}_kernel.py"
        if name in names:
            return os.path.join(where, name)
    return None


def problem_file(suite, level, number):
    for folder in (f"{suite}/level{level}", f"{suite}/KernelBench/level{level}"):
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            if name.split("_")[0] == str(number) and name.endswith(".py"):
                return f"{folder}/{name}"
    raise SystemExit(f"{suite}: no problem {level}/{number}")


# ---- theirs, in a process of its own, since a candidate may break its GPU context


def judge_by_upstream(checkout, jobs, timed, seconds):
    """A line of JSON for each job as it ends; after so many seconds none is begun."""
    import torch
    upstream = import_upstream(checkout)
    torch.cuda.init()
    started = time.monotonic()
    for problem, kernel in jobs:
        if time.monotonic() - started > seconds:
            print(json.dumps({"kernel": kernel, "late": True, "correct": None}), file=sys.__stderr__, flush=True)
            continue
        with open(problem) as file:
            reference = file.read()
        with open(kernel) as file:
            candidate = file.read()
        began = time.monotonic()
        said = upstream.eval_kernel_against_ref(
            reference, candidate, num_correct_trials=5, num_perf_trials=100 if timed else 10,
            measure_performance=timed, backend="cuda", precision=torch.float32, device=torch.device("cuda:0"))
        print(json.dumps({"kernel": kernel, "compiled": said.compiled, "correct": said.correctness,
                          "runtime": said.runtime, "ref_runtime": said.ref_runtime,
                          "wall_s": time.monotonic() - began,
                          "metadata": {k: str(v)[:300] for k, v in said.metadata.items()}}), file=sys.__stderr__, flush=True)


def ask_upstream(args, jobs, timed):
    """{kernel's path: what KernelBench says}; one whose process died is incorrect."""
    answers = {}
    while len(answers) < len(jobs):
        left = [j for j in jobs if j[1] not in answers]
        work = json.dumps({"upstream": args.upstream, "jobs": left, "timed": timed, "seconds": args.seconds})
        child = subprocess.run([sys.executable, __file__, "judge"], input=work, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
        told = 0
        for line in child.stderr.splitlines():
            if line.startswith('{"kernel"'):
                one = json.loads(line)
                answers[one["kernel"]] = one
                told += 1
        if told < len(left):
            words = (child.stderr.strip().splitlines() or [child.stdout[-300:]])[-1]
            if told == 0 and not answers:
                raise SystemExit(f"KernelBench's eval.py didn't get anywhere: {words}\n{child.stderr[-2000:]}")
            answers[left[told][1]] = {"correct": False, "died": words[:300], "wall_s": math.nan, "metadata": {}}
    return answers


# ---- the two comparisons


def small(args):
    only = set(args.problems.split(",")) if args.problems else None
    with tempfile.TemporaryDirectory() as folder:
        lay_out(folder, only)
        began, wrong, split = time.monotonic(), 0, 0
        for exact in ([], ["--exact-inputs"]) if not args.once else ([],):
            run = f"{folder}/run{len(exact)}"
            warpsmith(args, "kernelbench", "run", "--suite", f"{folder}/suite", "--candidates", f"{folder}/candidates",
                      "--out", run, "--gpu", args.gpu, "--protocol", "kb", "--pytorch", "none", "--fresh", *exact)
        took = time.monotonic() - began
        theirs, files = {}, {}
        if args.upstream:
            warpsmith(args, "kernelbench", "export", "--suite", f"{folder}/suite", "--out", run, "--to",
                      f"{folder}/to", "--all", "--gpu", args.gpu, "--candidates", f"{folder}/candidates")
            for level, number, sample, _ in results(run):
                kernel = exported(f"{folder}/to", level, number, sample)
                if kernel:
                    files[level, number, sample] = kernel
            jobs = [(problem_file(f"{folder}/suite", k[0], k[1]), v) for k, v in files.items()]
            theirs = ask_upstream(args, jobs, False)
        n = 0
        ways = [results(f"{folder}/run0"), results(f"{folder}/run0" if args.once else f"{folder}/run1")]
        for (level, number, sample, own), (_, _, _, exact) in zip(*ways):
            meant = int(exact["name"].rsplit("v", 1)[1]) in RIGHT
            said = [one.get("kb", {}).get("status", one.get("error", "nothing")) for one in (exact, own)]
            upstream = theirs.get(files.get((level, number, sample)))
            their = upstream["correct"] if upstream else None
            differs = args.upstream and (their is None or any((s == "correct") != their for s in said))
            unlike = any(s != ("correct" if meant else "incorrect") for s in said)
            split += bool(differs)
            wrong += unlike
            n += 1
            if differs or unlike or args.verbose:
                print(f"{level}/{number} {exact['name']}: meant {'right' if meant else 'wrong'}; kb {said[0]} on exact inputs, "
                      f"{said[1]} on its own; KernelBench {their} {json.dumps(upstream) if upstream and differs else ''}")
        print(f"{n} candidates; {n - wrong} as they were written to be; "
              + (f"{n - split} with the same verdict by KernelBench's eval.py ({100 * (n - split) / n:.0f} %)"
                 if args.upstream else "KernelBench wasn't asked") + f"; ours took {took:.1f} s for all of them{'' if args.once else ', twice'}")
        return 1 if wrong or split else 0


def median(values):
    values = sorted(values)
    return values[len(values) // 2] if len(values) % 2 else sum(values[len(values) // 2 - 1:][:2]) / 2


def full(args):
    only = set(args.problems.split(",")) if args.problems else None
    chosen = []
    for level, number, sample, one in results(args.run):
        kb = one.get("kb", {})
        if kb.get("status") == "correct" and kb.get("mean_us") and (not only or str(number) in only):
            chosen.append((level, number, sample, kb))
    if not chosen:
        raise SystemExit(f"{args.run}: no candidate in it is correct by kb and timed")
    off, factors = [], []
    with tempfile.TemporaryDirectory() as folder:
        folder = args.to or folder
        warpsmith(args, "kernelbench", "export", "--suite", args.suite, "--out", args.run, "--to", folder, "--all",
                  "--gpu", args.gpu, *(["--candidates", args.candidates] if args.candidates else []))
        files = [exported(folder, *which[:3]) for which in chosen]
        answers = ask_upstream(args, [(problem_file(args.suite, which[0], which[1]), file)
                                      for which, file in zip(chosen, files) if file], True)
    for (level, number, _, kb), file in zip(chosen, files):
        said = answers.get(file, {"late": not file})
        if said.get("late"):
            print(f"{level}/{number}: {'no time left' if file else 'not exported'}")
        elif not said["correct"] or said["runtime"] <= 0:
            print(f"{level}/{number}: KernelBench says {json.dumps(said)}")
            off.append(math.inf)
        else:
            theirs, ours = said["ref_runtime"] / said["runtime"], kb.get("speedup", math.nan)
            off.append(abs(ours / theirs - 1))
            factors.append(said["wall_s"] / kb["wall_s"])
            print(f"{level}/{number}: candidate {1e3 * said['runtime']:.5g} us by KernelBench, {kb['mean_us']:.5g} by ours; eager "
                  f"{1e3 * said['ref_runtime']:.5g}, {kb.get('baseline_mean_us', math.nan):.5g}; speedup {theirs:.4g}, {ours:.4g} "
                  f"({100 * (ours / theirs - 1):+.1f} %); took {said['wall_s']:.1f} s, {kb['wall_s']:.2f} s "
                  f"({factors[-1]:.0f}x)", flush=True)
    if factors:
        print(f"{len(factors)} problems: speedups differ by {100 * median(off):.1f} % (median); "
              f"KernelBench took {median(factors):.0f} times as long (median; {max(factors):.0f} at most)")
    return 0 if factors and math.isfinite(median(off)) and median(off) <= 0.03 else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("small", "full", "judge"))
    parser.add_argument("--warpsmith", default="warpsmith")
    parser.add_argument("--upstream", help="a checkout of ScalingIntelligence/KernelBench")
    parser.add_argument("--gpu", default="auto")
    parser.add_argument("--suite")
    parser.add_argument("--run")
    parser.add_argument("--candidates")
    parser.add_argument("--problems", help="numbers, such as 1,7")
    parser.add_argument("--seconds", type=float, default=1e9, help="KernelBench begins with no candidate after so many")
    parser.add_argument("--to", help="of full: where the exported files stay")
    parser.add_argument("--once", action="store_true", help="of small: not on KernelBench's exact inputs besides")
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args()
    if args.what == "judge":
        job = json.load(sys.stdin)
        judge_by_upstream(job["upstream"], job["jobs"], job["timed"], job["seconds"])
        return 0
    if args.what == "full" and not (args.upstream and args.suite and args.run):
        parser.error("full needs --upstream, --suite and --run")
    if os.environ.get("WARPSMITH_NO_PYTORCH"):
        return 77
    return small(args) if args.what == "small" else full(args)


if __name__ == "__main__":
    sys.exit(main())
