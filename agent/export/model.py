

class ModelNew(Model):
    """The problem's Model, which makes the same weights in the same order; forward is Warpsmith's kernels."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.__dict__["_warpsmith_found"] = self._warpsmith_slots()
        self.__dict__["_warpsmith_training"] = self.training
        self.__dict__["_warpsmith_whole"] = [  # inputs that are no floats
            (i, getattr(torch, dtype)) for i, (_, dtype, _, role, *_) in enumerate(WARPSMITH_PLAN["tensors"])
            if role == "input" and not getattr(torch, dtype).is_floating_point]
        self.__dict__["_warpsmith_updates"] = any(spec[3] == "inout" for spec in WARPSMITH_PLAN["tensors"])

    def _warpsmith_slots(self):
        """Where the weights and the buffers that forward updates are found, in the plan's order."""
        norms = (torch.nn.modules.batchnorm._BatchNorm, torch.nn.modules.instancenorm._InstanceNorm)
        weights, buffers, updated = [], [], []
        seen = set()
        for module in self.modules():
            changes = isinstance(module, norms) and module.training and module.track_running_stats
            for held, found in ((module._parameters, weights), (module._buffers, updated if changes else buffers)):
                for name, tensor in held.items():
                    if tensor is not None and id(tensor) not in seen:
                        seen.add(id(tensor))
                        found.append((held, name))
        return weights + buffers + updated

    def forward(self, *args):
        tensors = [a for a in args if torch.is_tensor(a)]
        scalars = [a for a in args if isinstance(a, (bool, int, float))]
        if scalars != WARPSMITH_SCALARS:
            raise ValueError(f"{WARPSMITH_NAME}: the kernels were bound to the numbers {WARPSMITH_SCALARS}, got {scalars}")
        if self._warpsmith_updates and self.training != self._warpsmith_training:
            raise ValueError(f"{WARPSMITH_NAME}: the kernels update running statistics; they have no other mode")
        for i, dtype in self._warpsmith_whole:  # KernelBench's evaluation makes floats of every input
            tensors[i] = tensors[i].to(dtype)
        return warpsmith_kernel(tensors, [held[name] for held, name in self._warpsmith_found])
