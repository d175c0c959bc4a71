# SPDX-License-Identifier: MIT
"""oracle.py --selftest: on the CPU, with problems written for it."""
import math
import os
import select
import signal
import tempfile
import time
import unittest

import oracle
import oracle_protocol
import torch
from oracle_inputs import MODES, Sources
from oracle_problem import Problem, Trouble, call, describe, spread_constants, state_of

HEAD = "import torch\nimport torch.nn as nn\nclass Model(nn.Module):\n"
TAIL = "\ndef get_init_inputs():\n    return []\n"


def problem(folder, body, inputs, name="1_Test.py"):
    path = os.path.join(folder, name)
    with open(path, "w") as file:
        file.write(HEAD + body + "\ndef get_inputs():\n    return " + inputs + TAIL)
    return path


def opened(path, plain=False):
    described = describe(path, "cpu")
    tensors = [[t["dtype"], math.prod(t["shape"])] for part in ("inputs", "weights", "inout", "outputs")
               for t in described[part]]
    return oracle.Judgement({"problem": path, "tensors": tensors, "plain": plain}, "cpu", described)


class Distributions(unittest.TestCase):
    def drawn(self, mode, units=False, seed=5, shape=(64, 96)):
        with Sources("cpu", seed, mode, units):
            return torch.rand(*shape)

    def test_by_seed(self):
        for mode in MODES:
            self.assertTrue(torch.equal(self.drawn(mode), self.drawn(mode)), mode)
            self.assertFalse(torch.equal(self.drawn(mode), self.drawn(mode, seed=6)), mode)

    def test_shapes_of_modes(self):
        own = self.drawn("own")
        self.assertLess(abs(float(own.mean())), 0.1)
        self.assertLess(abs(float(own.std()) - 1), 0.1)
        self.assertGreater(float(self.drawn("offset").mean()), 0.8)
        self.assertGreater(float(self.drawn("outliers").abs().max()), 8)
        whole = self.drawn("integers")
        self.assertTrue(torch.equal(whole, whole.round()))
        self.assertLess(float(self.drawn("negative").max()), -0.4)
        self.assertGreater(float(self.drawn("positive").min()), 0.4)
        edges = self.drawn("edges")
        self.assertTrue(bool((edges[:, 0].abs() >= 8).all() and (edges[0].abs() >= 8).all()))
        impulses = self.drawn("impulses")
        self.assertEqual(int((impulses.abs().sum(dim=1) == 0).sum()), 8)
        sizes = self.drawn("rows").abs().amax(dim=1)
        self.assertGreater(float(sizes.max() / sizes.min()), 1e3)

    def test_units(self):
        for mode in MODES:
            t = self.drawn(mode, units=True)
            self.assertTrue(bool((t >= 0).all() and (t < 1).all()), mode)

    def test_restored(self):
        before = torch.rand
        with self.assertRaises(ValueError), Sources("cpu", 1, "own", False):
            raise ValueError
        self.assertIs(torch.rand, before)

    def test_forms_of_calls(self):
        with Sources("cpu", 1, "own", False) as sources:
            self.assertEqual(torch.rand(size=(2, 3)).shape, (2, 3))
            self.assertEqual(torch.randn([2, 3]).shape, (2, 3))
            self.assertEqual(torch.rand(2, 3, dtype=torch.float64).dtype, torch.float64)
            self.assertEqual(torch.randint(5, (7,)).shape, (7,))
            self.assertEqual(torch.randint(5, size=(7,)).shape, (7,))
            self.assertEqual(torch.randint(high=5, size=(7,)).shape, (7,))
            self.assertEqual(torch.rand_like(torch.zeros(2, dtype=torch.float64)).dtype, torch.float64)
            self.assertEqual(torch.randn_like(torch.zeros(2), dtype=torch.float16).dtype, torch.float16)
            low = torch.randint(3, 5, (70,))
            self.assertTrue(bool((low >= 3).all() and (low < 5).all()))
            self.assertEqual(int(torch.randperm(9).sum()), 36)
            self.assertEqual(sources.drawn, 10)
            other = torch.empty(4).normal_()
        with Sources("cpu", 1, "own", False):
            torch.rand(size=(2, 3))
            self.assertTrue(torch.equal(other, torch.empty(4).normal_()))

    def test_few_elements(self):
        for mode in MODES:
            for shape in ((), (1,), (1, 1), (3, 2)):
                with Sources("cpu", 1, mode, False):
                    self.assertEqual(tuple(torch.rand(shape).shape), shape)


class Problems(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()

    def tearDown(self):
        self.folder.cleanup()

    def test_structure_stays(self):
        path = problem(self.folder.name, "    def forward(self, a):\n        return a.sum(dim=0)",
                       "[torch.triu(torch.rand(9, 9))]")
        for mode in MODES:
            a = Problem(path).inputs("cpu", 3, mode)[0]
            self.assertTrue(torch.equal(a, torch.triu(a)), mode)

    def test_counts_are_spread(self):
        body = ("    def __init__(self):\n        super().__init__()\n        self.bn = nn.BatchNorm1d(4)\n"
                "    def forward(self, x):\n        return self.bn(x)")
        j = opened(problem(self.folder.name, body, "[torch.rand(8, 4)]"))
        for seed in (5, 9):
            j.make({"inputs": seed, "weights": seed, "inout": seed})
            count = next(t for t in j.parts[2] if t.dtype == torch.int64)
            before = int(count)
            self.assertGreater(before, 0)
            j.run()
            self.assertEqual(int(count), before + 1)
        j.close()

    def test_far_from_zero(self):
        """Only where nothing multiplies inputs with each other; softmax without its maximum isn't softmax there."""
        softmax = "    def forward(self, x):\n        return torch.softmax(x, dim=1)"
        product = "    def forward(self, x, y):\n        return x @ y"
        for body, inputs, far in ((softmax, "[torch.rand(7, 40)]", True),
                                  (product, "[torch.rand(7, 9), torch.rand(9, 5)]", False)):
            j = opened(problem(self.folder.name, body, inputs, f"{far}.py"))
            j.make({"inputs": 3, "weights": 3, "inout": 3, "mode": "positive"})
            x = j.parts[0][0]
            self.assertEqual(bool((x > 150).all()), far)
            self.assertEqual(bool(x.exp().isinf().any()), far)
            j.run()
            self.assertTrue(bool(j.parts[3][0].isfinite().all()))
            j.close()

    def test_constants_are_spread(self):
        body = ("    def __init__(self):\n        super().__init__()\n        self.bn = nn.BatchNorm1d(4)\n"
                "    def forward(self, x):\n        return self.bn(x)")
        model = Problem(problem(self.folder.name, body, "[torch.rand(8, 4)]")).model("cpu")
        weights, updated = state_of(model)
        self.assertEqual([n for n, _ in weights], ["bn.weight", "bn.bias"])
        self.assertEqual(len(updated), 3)
        spread_constants([t for _, t in sum(state_of(model), [])], 1)
        for name, t in weights:
            self.assertGreater(float(t.std()), 0.01, name)
        self.assertTrue(bool((model.bn.running_var > 0).all()))

    def test_slices(self):
        path = problem(self.folder.name, "    def forward(self, x):\n        return torch.softmax(x, dim=1)",
                       "[torch.rand(37, 8)]")
        j = opened(path)
        j.make({"inputs": 4, "mode": "edges"})
        j.run()
        self.assertEqual(j.method, "double")
        whole = j.parts[3][0].clone()
        j.parts[3][0].zero_()
        j.in_slices(4)
        self.assertTrue(torch.equal(whole, j.parts[3][0]))
        j.close()

    def test_slices_that_lie(self):
        body = "    def forward(self, x):\n        return x - x.mean(dim=0, keepdim=True)"
        j = opened(problem(self.folder.name, body, "[torch.rand(32, 8)]"))
        with self.assertRaisesRegex(Trouble, "samples depend on each other"):
            j.in_slices(4)
        j.close()

    def test_slices_that_almost_agree(self):
        """Statistics over a large batch are almost those of a slice, nearer than f32 could tell."""
        norm = ("    def __init__(self):\n        super().__init__()\n"
                "        self.norm = nn.BatchNorm2d(2, track_running_stats=False)\n"
                "    def forward(self, x):\n        return self.norm(x)")
        for body in ("    def forward(self, x):\n        return x - x.mean()", norm):
            j = opened(problem(self.folder.name, body, "[torch.rand(64, 2, 128, 128)]"))
            j.make({"inputs": 4, "weights": 4})
            with self.assertRaisesRegex(Trouble, "samples depend on each other"):
                j.in_slices(4)
            j.close()

    def test_slices_of_other_types(self):
        """Indices and masks go with their samples; what forward makes is double; nothing is written."""
        body = ("    def forward(self, x, i, m):\n        x.mul_(2)\n"
                "        return torch.where(m, torch.gather(x, 1, i), torch.zeros(1)) @ torch.ones(8, 3)")
        j = opened(problem(self.folder.name, body, "[torch.rand(19, 8), torch.randint(0, 8, (19, 8)), "
                           "torch.randint(0, 2, (19, 8)).bool()]"))
        j.make({"inputs": 4})
        before = j.parts[0][0].clone()
        j.run()
        self.assertEqual(j.method, "double")
        whole = j.parts[3][0].clone()
        for pieces in (4, 16):  # sixteen: some have one sample
            j.parts[3][0].zero_()
            j.in_slices(pieces)
            self.assertTrue(torch.equal(whole, j.parts[3][0]))
        self.assertTrue(torch.equal(before, j.parts[0][0]))
        j.close()

    def test_slices_of_no_numbers(self):
        body = "    def forward(self, x):\n        return x / (x.shape[0] // 32)"
        j = opened(problem(self.folder.name, body, "[torch.rand(32, 8)]"))
        with self.assertRaisesRegex(Trouble, "don't make up the whole"):
            j.in_slices(4)  # infinite in a slice, not in the whole
        self.assertTrue(oracle.unlike(torch.tensor([1.0, math.nan]), torch.tensor([1.0, 2.0]), 1e-3))
        self.assertTrue(oracle.unlike(torch.tensor([1.0, math.inf]), torch.tensor([1.0, -math.inf]), 1e-3))
        same = torch.tensor([1.0, math.nan, math.inf])
        self.assertFalse(oracle.unlike(same + torch.tensor([1e-5, 0, 0]), same, 1e-3))
        j.close()

    def test_falls_back(self):
        body = ("    def forward(self, x):\n        return torch.matmul(x, torch.ones(4, 4, dtype=torch.float32))")
        j = opened(problem(self.folder.name, body, "[torch.rand(3, 4)]"))
        j.make({"inputs": 4})
        j.run()
        self.assertEqual(j.method, "as is")
        j.close()

    def test_domain_is_found(self):
        body = "    def forward(self, x):\n        return torch.log(x)"
        j = opened(problem(self.folder.name, body, "[torch.rand(5, 6)]"))
        self.assertTrue(j.units)
        j.close()
        body = "    def forward(self, p, t):\n        return nn.functional.binary_cross_entropy(p, t)"
        j = opened(problem(self.folder.name, body, "[torch.rand(5, 6), torch.rand(5, 6)]"))
        self.assertTrue(j.units)  # raises for what is no probability
        self.assertLess(j.own_error()[0][0][0], 1e-4)
        j.close()
        body = "    def forward(self, x):\n        raise ValueError('never')"
        with self.assertRaisesRegex(Trouble, "never"):
            opened(problem(self.folder.name, body, "[torch.rand(5, 6)]"))

    def test_own_error(self):
        body = "    def forward(self, x):\n        return torch.matmul(x, x.t())"
        j = opened(problem(self.folder.name, body, "[torch.rand(30, 500)]"))
        ((worst, whole),), rounded = j.own_error()
        self.assertTrue(0 < whole <= worst < 1e-3, (worst, whole))
        self.assertEqual(rounded, [[]])
        j.close()

    def test_rounding(self):
        t = torch.tensor([1.0, 1 + 2.0 ** -11, 1 + 2.0 ** -12, -3.0 - 2.0 ** -10, 0.0, 1e-30])
        oracle.round_to(t, 10)
        self.assertEqual(t[:5].tolist(), [1.0, 1 + 2.0 ** -10, 1.0, -3.0 - 2.0 ** -9, 0.0])
        body = "    def forward(self, x):\n        return torch.matmul(x, x.t())"
        j = opened(problem(self.folder.name, body, "[torch.rand(30, 500)]"))
        for bits, least, most in ((10, 1e-4, 2e-2), (7, 1e-3, 2e-1)):
            _, (by_mode,) = j.own_error(bits)
            self.assertEqual(len(by_mode), len(MODES))
            self.assertTrue(least < by_mode[MODES.index("own")] < most, by_mode)
            # Small integers are exact in either.
            self.assertLess(by_mode[MODES.index("integers")], 1e-5, by_mode)
        j.close()

    def test_state_is_seen(self):
        body = ("    def __init__(self):\n        super().__init__()\n        self.calls = 0\n"
                "    def forward(self, x):\n        self.calls += 1\n        return x * self.calls")
        j = opened(problem(self.folder.name, body, "[torch.rand(5, 6)]"))
        with self.assertRaisesRegex(Trouble, "two runs on the same inputs differ"):
            j.own_error()
        j.close()

    def test_what_a_file_changes(self):
        """Of PyTorch: it is told, and the next problem finds all as it was."""
        own = torch.relu, torch.Tensor.relu, torch.nn.ReLU.forward
        plain = "    def forward(self, x):\n        return torch.relu(x)"
        for name, change in {"torch.relu": "torch.relu = torch.tanh", "Tensor.relu": "torch.Tensor.relu = torch.tanh",
                             "ReLU.forward": "nn.ReLU.forward = lambda self, x: x"}.items():
            path = problem(self.folder.name, plain, "[torch.rand(3)]\n" + change)
            with self.assertRaisesRegex(Trouble, f"1_Test.py: it changes {name}"):
                Problem(path)
            self.assertEqual((torch.relu, torch.Tensor.relu, torch.nn.ReLU.forward), own)
        wraps = ("[torch.rand(3)]\ntorch.relu = eval('lambda x: None', {'__name__': 'torch._compile'})\n"
                 "torch.relu.__name__ = 'relu'")
        try:
            Problem(problem(self.folder.name, plain, wraps))  # as PyTorch itself does
            self.assertIsNot(torch.relu, own[0])
        finally:
            torch.relu = own[0]
        server = oracle.Server("cpu")
        path = problem(self.folder.name, plain, "[torch.rand(3)]\ntorch.set_default_dtype(torch.float64)\n"
                       "torch.use_deterministic_algorithms(True)\ntorch.set_grad_enabled(False)")
        self.assertTrue(server.safely({"kind": "describe", "problem": path})["ok"])
        server.safely({"kind": "nothing"})
        self.assertEqual(torch.get_default_dtype(), torch.float32)
        self.assertFalse(torch.are_deterministic_algorithms_enabled())
        self.assertTrue(torch.is_grad_enabled())

    def test_forks(self):
        """A child that comes back ends there: two for each call would soon be thousands."""
        read, write = os.pipe()
        fork = f"(os.fork() or os.write({write}, b'c')) and x"
        path = problem(self.folder.name, f"    def forward(self, x):\n        {fork}\n        return x * 2", "[torch.rand(3)]\n"
                       "import os")
        problem_of, x = Problem(path), torch.ones(3)
        model = problem_of.model("cpu")
        for _ in range(3):
            self.assertEqual(call(problem_of, model, [x])[0].tolist(), [2, 2, 2])
        for _ in range(3):
            self.assertEqual(os.waitstatus_to_exitcode(os.wait()[1]), 0)
        os.close(write)
        self.assertEqual(os.read(read, 100), b"ccc")
        os.close(read)

    def test_forms(self):
        """Of arguments, parameters and outputs that PyTorch's own problems may have."""
        body = ("    def __init__(self):\n        super().__init__()\n"
                "        self.w = nn.Parameter(torch.ones(4, 3).t())\n"
                "    def forward(self, x, nothing, y):\n        with torch.enable_grad():\n"
                "            return nn.functional.linear(x + y, self.w)")
        j = opened(problem(self.folder.name, body, "[torch.rand(5, 4), None, torch.rand(4)]"))
        j.make({"inputs": 4, "weights": 4})
        j.run()
        self.assertEqual(j.method, "double")
        self.assertFalse(j.parts[3][0].requires_grad)  # else every run would be kept for gradients
        self.assertTrue(torch.allclose(j.parts[3][0], (j.parts[0][0] + j.parts[0][1]) @ j.parts[1][0].t()))
        j.close()
        body = ("    def __init__(self):\n        super().__init__()\n        w = torch.rand(4)\n"
                "        self.register_buffer('a', w)\n        self.register_buffer('b', w)\n"
                "    def forward(self, x):\n        return x * self.a + self.b")
        j = opened(problem(self.folder.name, body, "[torch.rand(5, 4)]"))  # in double, a and b would be two
        j.make({"inputs": 4, "weights": 4})
        j.run()
        self.assertTrue(torch.allclose(j.parts[3][0], j.parts[0][0] * j.parts[1][0] + j.parts[1][0]))
        j.close()

    def test_refusals(self):
        cases = {"draws random numbers": ("    def forward(self, x):\n        return torch.rand_like(x)",
                                          "[torch.rand(3)]"),
                 "draws nothing": ("    def forward(self, x):\n        return x", "[torch.ones(3)]"),
                 "y is no finite number": ("    def forward(self, x, y):\n        return x",
                                           "[torch.rand(3), float('inf')]")}
        for text, (body, inputs) in cases.items():
            self.assertIn(text, describe(problem(self.folder.name, body, inputs), "cpu")["unsupported"])
        for text, (body, inputs) in {
                "a sparse tensor": ("    def forward(self, x):\n        return x.to_sparse()", "[torch.rand(3, 4)]"),
                "SystemExit": ("    def forward(self, x):\n        raise SystemExit(0)", "[torch.rand(3)]"),
                "get_inputs: SystemExit": ("    def forward(self, x):\n        return x", "[torch.rand(exit())]"),
                "it returns a Tensor, not a list": ("    def forward(self, x):\n        return x", "torch.rand(3)"),
                "a list with tensors in it": ("    def forward(self, x):\n        return x[0]", "[[torch.rand(3)]]")}.items():
            with self.assertRaisesRegex(Trouble, text):
                describe(problem(self.folder.name, body, inputs), "cpu")
        with self.assertRaisesRegex(Trouble, "something other than tensors"):
            describe(problem(self.folder.name, "    def forward(self, x):\n        return 3.0",
                             "[torch.rand(3)]"), "cpu")
        path = problem(self.folder.name, "    def forward(self, x):\n        return x", "[torch.rand(3)]")
        with self.assertRaisesRegex(Trouble, "has changed"):
            Problem(path, "0" * 64)


class Protocols(unittest.TestCase):
    BODY = ("    def __init__(self):\n        super().__init__()\n        self.linear = nn.Linear(6, 5)\n"
            "    def forward(self, x):\n        return self.linear(x)")

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = problem(self.folder.name, self.BODY, "[torch.rand(7, 6), torch.randint(0, 5, (3,))][:1]")
        self.j = opened(self.path, plain=True)

    def tearDown(self):
        self.j.close()
        self.folder.cleanup()

    def make(self, **how):
        oracle_protocol.make(self.j, {"exact": False, "draw": 0, "seed": 9, "scale": 1, "inputs": False,
                                      "weights": False, **how})
        return self.j.parts[0][0].clone()

    def test_exact_is_kernelbench(self):
        """Word for word what its eval.py does with seeds, and in its order."""
        context = {}
        with open(self.path) as file:
            exec(file.read(), context)
        torch.manual_seed(42)
        arguments = context["get_init_inputs"]()
        torch.manual_seed(42)
        model = context["Model"](*arguments)
        torch.manual_seed(42)
        seeds = [torch.randint(0, 2**32 - 1, (1,)).item() for _ in range(5)]
        self.make(exact=True, weights=True)
        self.assertTrue(torch.equal(self.j.parts[1][0], model.linear.weight))
        self.assertTrue(torch.equal(self.j.parts[1][1], model.linear.bias))
        for draw, seed in enumerate(seeds):
            torch.manual_seed(seed)
            want = context["get_inputs"]()[0]
            self.assertTrue(torch.equal(self.make(exact=True, draw=draw, inputs=True), want))
        torch.manual_seed(seeds[4])
        hidden = [context["get_inputs"]()[0] * scale for scale in (1, 3.0, 0.01, -1.0)]
        for k, (want, scale) in enumerate(zip(hidden, (1, 3.0, 0.01, -1.0))):
            torch.rand(k)  # somebody else's draws don't matter
            self.assertTrue(torch.equal(self.make(exact=True, draw=5 + k, scale=scale, inputs=True), want))
        torch.manual_seed(42)
        want = context["get_inputs"]()[0]
        self.assertTrue(torch.equal(self.make(exact=True, draw=-1, inputs=True), want))
        oracle_protocol.run(self.j)
        with torch.no_grad():
            self.assertTrue(torch.equal(self.j.parts[3][0], model(self.j.parts[0][0])))

    def test_fifth_hidden(self):
        """Of one problem alone Verified keeps five."""
        body = "    def forward(self, p, t):\n        return torch.mean(torch.clamp(1 - p * t, min=0))"
        path = problem(self.folder.name, body, "[torch.rand(6, 5), torch.randint(0, 2, (5,)).float() * 2 - 1]",
                       "100_HingeLoss.py")
        self.assertEqual([oracle_protocol.hidden(Problem(p)) for p in (self.path, path)], [4, 5])
        self.j.close()
        self.j = opened(path, plain=True)
        for exact in (True, False):
            self.make(exact=exact, draw=8, inputs=True)
            fourth = self.j.parts[0][0].clone()
            self.make(exact=exact, draw=9, seed=10, inputs=True)
            self.assertEqual(self.j.parts[0][1].tolist(), [-1, 1, -1, 1, -1])
            self.assertFalse(torch.equal(self.j.parts[0][0], fourth))  # a draw of its own

    def test_exact_out_of_order(self):
        ahead = self.make(exact=True, draw=7, inputs=True)
        for draw in (4, 5, 6):
            self.make(exact=True, draw=draw, inputs=True)
        self.assertTrue(torch.equal(self.make(exact=True, draw=7, inputs=True), ahead))

    def test_own_is_uniform_and_by_seed(self):
        a = self.make(inputs=True)
        self.assertTrue(bool((a >= 0).all() and (a < 1).all()))
        self.assertTrue(torch.equal(a, self.make(inputs=True)))
        self.assertFalse(torch.equal(a, self.make(inputs=True, seed=10)))
        self.assertTrue(torch.allclose(a * 3, self.make(inputs=True, scale=3)))

    def test_whole_numbers_are_left_alone(self):
        for dtype, want in ((torch.float32, -2), (torch.int64, 2), (torch.bool, 2)):
            view = torch.zeros(2, dtype=dtype)
            oracle_protocol.put(view, torch.ones(2, dtype=dtype), -1)
            self.assertEqual(float(view.sum()), want)

    def test_statistics(self):
        found = oracle_protocol.statistics([1000.4, 1003.0, 1008.9])
        for name, want in {"mean_us": 1000, "std_us": 3.56, "min_us": 1000, "max_us": 1010}.items():
            self.assertAlmostEqual(found[name], want)


class Serving(unittest.TestCase):
    def test_frames(self):
        a, b = os.pipe()
        oracle.write_frame(b, oracle.JOB, 77, {"kind": "describe"})
        self.assertEqual(oracle.read_frame(a), (77, {"kind": "describe"}))
        os.close(b)
        self.assertIsNone(oracle.read_frame(a))
        os.close(a)

    def test_answers(self):
        server = oracle.Server("cpu")
        self.assertIn("nothing is open", server.safely({"kind": "run"})["error"])
        self.assertIn("no kind of job", server.safely({"kind": "dance"})["error"])
        self.assertIn("/nowhere", server.safely({"kind": "describe", "problem": "/nowhere.py"})["error"])
        self.assertIn("needs a GPU", server.safely({"kind": "baseline", "problem": "x"})["error"])

    def test_end_with_agent(self):
        read, write = os.pipe()
        agent = os.fork()
        if agent == 0:
            if os.fork() == 0:
                oracle.end_with_agent()
                os.write(write, b"!")
                time.sleep(300)
            os.read(read, 1)
            os.kill(os.getpid(), signal.SIGKILL)
        os.close(write)
        os.waitpid(agent, 0)
        self.assertTrue(select.select([read], [], [], 60)[0])  # the end: nobody has the other one any more
        self.assertEqual(os.read(read, 1), b"")
        os.close(read)

    def test_broken_context(self):
        """A kernel of PyTorch's that failed takes the process with it, whoever told of it."""
        server = oracle.Server("cpu")
        for trouble in (RuntimeError("CUDA error: device-side assert triggered"),
                        Trouble("1_Test.py: forward: RuntimeError: CUDA error: device-side assert triggered"),
                        SystemExit("an odd \udc80 \0 word")):
            def fail(job, trouble=trouble):
                raise trouble
            server.broken, server.answer = False, fail
            self.assertEqual(server.safely({"kind": "run"})["error"].count("CUDA"), int(server.broken))
            self.assertEqual(server.broken, not isinstance(trouble, SystemExit))
        server.answer = lambda job: os.close(-1)
        self.assertIn("Bad file descriptor", server.safely({"kind": "open"})["error"])
        self.assertTrue(server.broken)
        server.broken, server.answer = False, fail
        self.assertEqual(server.safely({"kind": "run"})["error"], "SystemExit: an odd ?   word")


def main():
    result = unittest.main(module=__name__, argv=["oracle.py"], exit=False).result
    return 0 if result.wasSuccessful() else 1
