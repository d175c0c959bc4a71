
/* Gives the function more dynamic shared memory than it may have unasked. */
static CUresult allow_shared(CUfunction function, unsigned shared)
{
    int fixed = 0;
    CUresult r = cuFuncGetAttribute(&fixed, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, function);
    return r != CUDA_SUCCESS || shared == 0 || (unsigned)fixed + shared <= 48u << 10
        ? r
        : cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, (int)shared);
}

static CUresult load_steps(CUmodule module, const struct step *steps, unsigned n, CUfunction *functions)
{
    CUresult r = CUDA_SUCCESS;
    for (unsigned i = 0; r == CUDA_SUCCESS && i < n; i++) {
        if (steps[i].kernel) {
            r = cuModuleGetFunction(&functions[i], module, steps[i].kernel);
            r = r != CUDA_SUCCESS ? r : allow_shared(functions[i], steps[i].shared);
        }
    }
    return r;
}

CUresult @name@_open(struct @name@ *k, const void *image)
{
    CUresult r;
    memset(k, 0, sizeof(*k));
    r = cuModuleLoadData(&k->module, image);
    r = r != CUDA_SUCCESS ? r : load_steps(k->module, launches, N_LAUNCHES, k->launches);
    r = r != CUDA_SUCCESS ? r : load_steps(k->module, prepare, N_PREPARE, k->prepare);
    for (int i = 0; r == CUDA_SUCCESS && i < N_SCRATCH; i++) {
        r = cuMemAlloc(&k->scratch[i], scratch[i]);
    }
    if (r != CUDA_SUCCESS) {
        @name@_close(k);
    }
    return r;
}

void @name@_close(struct @name@ *k)
{
    for (int i = 0; i < N_SCRATCH; i++) {
        if (k->scratch[i]) {
            cuMemFree(k->scratch[i]);
        }
    }
    if (k->module) {
        cuModuleUnload(k->module);
    }
    memset(k, 0, sizeof(*k));
}

static CUresult launch(const struct step *s, CUfunction function, unsigned long long *values, int first,
                       CUstream stream)
{
    CUlaunchAttribute attributes[3];
    CUlaunchConfig config;
    void *params[MOST_ARGS];
    memset(attributes, 0, sizeof(attributes));
    memset(&config, 0, sizeof(config));
    for (unsigned i = 0; i < s->n_args; i++) {
        params[i] = &values[i]; /* the driver takes the low bytes, as many as the parameter has */
    }
    config.gridDimX = s->grid[0];
    config.gridDimY = s->grid[1];
    config.gridDimZ = s->grid[2];
    config.blockDimX = s->block[0];
    config.blockDimY = s->block[1];
    config.blockDimZ = s->block[2];
    config.sharedMemBytes = s->shared;
    config.hStream = stream;
    config.attrs = attributes;
    if (s->cluster[0] * s->cluster[1] * s->cluster[2] > 1) {
        attributes[config.numAttrs].id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
        attributes[config.numAttrs].value.clusterDim.x = s->cluster[0];
        attributes[config.numAttrs].value.clusterDim.y = s->cluster[1];
        attributes[config.numAttrs++].value.clusterDim.z = s->cluster[2];
    }
    if (s->cooperative) {
        attributes[config.numAttrs].id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE;
        attributes[config.numAttrs++].value.cooperative = 1;
    }
    if (s->programmatic && !first) {
        attributes[config.numAttrs].id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
        attributes[config.numAttrs++].value.programmaticStreamSerializationAllowed = 1;
    }
    return cuLaunchKernelEx(&config, function, params, NULL);
}

static CUresult run_steps(struct @name@ *k, const struct step *steps, unsigned n, const CUfunction *functions,
                          const CUdeviceptr *tensors, CUstream stream)
{
    CUresult r = CUDA_SUCCESS;
    for (unsigned i = 0; r == CUDA_SUCCESS && i < n; i++) {
        const struct step *s = &steps[i];
        unsigned long long values[MOST_ARGS];
        for (unsigned a = 0; a < s->n_args; a++) {
            int b = s->args[a].buffer;
            values[a] = b < 0 ? s->args[a].value : b < N_TENSORS ? tensors[b] : k->scratch[b - N_TENSORS];
        }
        if (!s->kernel) {
            CUdeviceptr to = s->buffer < N_TENSORS ? tensors[s->buffer] : k->scratch[s->buffer - N_TENSORS];
            r = cuMemsetD8Async(to, s->value, s->bytes, stream);
        } else {
            r = launch(s, functions[i], values, i == 0, stream);
        }
    }
    return r;
}

CUresult @name@_prepare(struct @name@ *k, const CUdeviceptr *tensors, CUstream stream)
{
    return run_steps(k, prepare, N_PREPARE, k->prepare, tensors, stream);
}

CUresult @name@_launch(struct @name@ *k, const CUdeviceptr *tensors, CUstream stream)
{
    return run_steps(k, launches, N_LAUNCHES, k->launches, tensors, stream);
}
