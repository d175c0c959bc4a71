
static void check(CUresult r, const char *what)
{
    const char *name = NULL;
    if (r != CUDA_SUCCESS) {
        cuGetErrorName(r, &name);
        fprintf(stderr, "%s: %s\n", what, name ? name : "an error without a name");
        exit(1);
    }
}

/* The whole file, and zeros after it: the driver wants PTX to end in one. */
static char *read_file(const char *path, size_t wanted)
{
    FILE *file = fopen(path, "rb");
    long size = -1;
    char *text;
    if (!file || fseek(file, 0, SEEK_END) || (size = ftell(file)) < 0 || fseek(file, 0, SEEK_SET)
        || (wanted && (size_t)size != wanted)) {
        fprintf(stderr, "%s: can't be read, or hasn't %zu bytes\n", path, wanted);
        exit(1);
    }
    text = calloc(1, (size_t)size + 64);
    if (!text || fread(text, 1, (size_t)size, file) != (size_t)size) {
        fprintf(stderr, "%s: can't be read\n", path);
        exit(1);
    }
    fclose(file);
    return text;
}

static void write_file(const char *path, const char *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, size, file) != size || fclose(file)) {
        fprintf(stderr, "%s: can't be written\n", path);
        exit(1);
    }
}

/* Numbers in [0.5, 1) where the type is a float, else zeros. */
static void fill(char *to, const struct tensor *t)
{
    unsigned state = 12345;
    memset(to, 0, t->count * t->size);
    for (size_t i = 0; t->kind != 'i' && i < t->count; i++) {
        state = state * 1664525u + 1013904223u;
        if (t->kind == 'd') {
            ((double *)to)[i] = 0.5 + (state >> 8) / 33554432.0;
        } else if (t->kind == 'f') {
            ((float *)to)[i] = 0.5f + (float)(state >> 8) / 33554432.0f;
        } else if (t->kind == 'h') {
            ((unsigned short *)to)[i] = (unsigned short)(0x3800 | (state >> 22));
        } else {
            ((unsigned short *)to)[i] = (unsigned short)(0x3f00 | (state >> 25));
        }
    }
}

static int by_number(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void time_it(struct @name@ *k, const CUdeviceptr *at)
{
    enum { RUNS = 100 };
    float ms[RUNS];
    CUevent from, to;
    check(cuEventCreate(&from, CU_EVENT_DEFAULT), "cuEventCreate");
    check(cuEventCreate(&to, CU_EVENT_DEFAULT), "cuEventCreate");
    for (int i = -10; i < RUNS; i++) {
        check(cuEventRecord(from, NULL), "cuEventRecord");
        check(@name@_launch(k, at, NULL), "launch");
        check(cuEventRecord(to, NULL), "cuEventRecord");
        check(cuEventSynchronize(to), "running");
        check(cuEventElapsedTime(&ms[i < 0 ? 0 : i], from, to), "cuEventElapsedTime");
    }
    qsort(ms, RUNS, sizeof(*ms), by_number);
    printf("@name@: median of %d runs %.2f us, whatever the L2 holds\n", (int)RUNS, 1e3 * ms[RUNS / 2]);
}

int main(int argc, char **argv)
{
    static CUdeviceptr at[@name@_TENSORS];
    struct @name@ kernel;
    CUdevice device;
    CUcontext context;
    char *image = read_file(IMAGE, 0);
    if (argc != 1 && argc != @name@_TENSORS + 1) {
        fprintf(stderr, "usage: %s, or %s FILE... with raw bytes of each of the %d tensors in the order of launch.h;\n"
                        "outputs and what is updated are written\n", argv[0], argv[0], (int)@name@_TENSORS);
        return 2;
    }
    check(cuInit(0), "cuInit");
    check(cuDeviceGet(&device, 0), "cuDeviceGet");
    check(cuDevicePrimaryCtxRetain(&context, device), "cuDevicePrimaryCtxRetain");
    check(cuCtxSetCurrent(context), "cuCtxSetCurrent");
    check(@name@_open(&kernel, image), "loading " IMAGE);
    for (int i = 0; i < @name@_TENSORS; i++) {
        const struct tensor *t = &tensors[i];
        size_t size = t->count * t->size;
        char *bytes = argc > 1 && t->role != 'o' ? read_file(argv[i + 1], size) : calloc(1, size + 64);
        if (!bytes) {
            fprintf(stderr, "not enough memory\n");
            return 1;
        }
        if (argc == 1 && t->role != 'o') {
            fill(bytes, t);
        }
        check(cuMemAlloc(&at[i], size), "cuMemAlloc");
        check(cuMemcpyHtoD(at[i], bytes, size), "cuMemcpyHtoD");
        free(bytes);
    }
    check(@name@_prepare(&kernel, at, NULL), "prepare");
    check(@name@_launch(&kernel, at, NULL), "launch");
    check(cuCtxSynchronize(), "running");
    for (int i = 0; i < @name@_TENSORS && argc > 1; i++) {
        const struct tensor *t = &tensors[i];
        size_t size = t->count * t->size;
        char *bytes = calloc(1, size + 1);
        if (bytes && t->role != 'r') {
            check(cuMemcpyDtoH(bytes, at[i], size), "cuMemcpyDtoH");
            write_file(argv[i + 1], bytes, size);
        }
        free(bytes);
    }
    time_it(&kernel, at);
    @name@_close(&kernel);
    free(image);
    return 0;
}
