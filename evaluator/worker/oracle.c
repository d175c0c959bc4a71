/* SPDX-License-Identifier: MIT */
#include "evaluator/worker/oracle.h"
#include "base/jread.h"
#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* The gate's modes as oracle_inputs.py calls them, in the gate's order. */
static const char *const modes[GATE_MODE_COUNT]
    = { "own", "offset", "outliers", "integers", "rows", "edges", "impulses", "negative", "positive" };

/* Sends a question and waits for its answer; takes over `question`. *ret is the caller's. */
static int ask(const struct oracle *o, json_t *question, json_t **ret, struct err *err)
{
    int r = channel_send(o->channel, FRAME_TYPE_ASK, question, NULL, 0, err);
    struct frame frame = { 0 };
    json_t *answer = NULL;
    r = r < 0 ? r : frame_read(o->channel->fd, &frame, err);
    if (r == 0 && (frame.type != FRAME_TYPE_ANSWER || frame.id != o->channel->job)) {
        r = err_set(err, ERR_PROTOCOL, "expected an answer, got a frame of type %d", (int)frame.type);
    }
    r = r < 0 ? r : jread_parse(frame.json, frame.json_len, &answer, err);
    free(frame.owned);
    if (r == 0 && !json_is_true(json_object_get(answer, "ok"))) {
        const char *why = json_string_value(json_object_get(answer, "error"));
        r = err_set(err, ERR_ENVIRONMENT, "the oracle: %.1500s", why ? why : "it doesn't say why");
    }
    if (r < 0) {
        json_decref(answer);
        return r == ERR_ENVIRONMENT ? r : err_set(err, ERR_ENVIRONMENT, "the oracle can't be asked");
    }
    *ret = answer;
    return 0;
}

static int ask_plainly(const struct oracle *o, json_t *question, struct err *err)
{
    json_t *answer = NULL;
    int r = ask(o, question, &answer, err);
    json_decref(answer);
    return r;
}

/* One message: eight bytes that say for which opening it is, and a descriptor; -1: there's none. */
static int receive_one(uint64_t *ret_serial)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = { ret_serial, sizeof(*ret_serial) };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes,
                              .msg_controllen = sizeof(control.bytes) };
    ssize_t n = recvmsg(ORACLE_FD, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    const struct cmsghdr *head = n == sizeof(*ret_serial) ? CMSG_FIRSTHDR(&message) : NULL;
    int fd = -1;
    if (head && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS
        && head->cmsg_len == CMSG_LEN(sizeof(int))) {
        memcpy(&fd, CMSG_DATA(head), sizeof(fd));
    }
    return fd;
}

/* Descriptors of openings that nobody came for (their worker died) are closed on the way. */
static int receive(uint64_t serial, int *ret_fd, struct err *err)
{
    uint64_t of = 0;
    for (int i = 0; i < 1000; i++) {
        int fd = receive_one(&of);
        if (fd >= 0 && of == serial) {
            *ret_fd = fd;
            return 0;
        }
        if (fd < 0) {
            break;
        }
        close(fd);
    }
    return err_set(err, ERR_ENVIRONMENT, "the oracle's memory didn't arrive");
}

static int take_host(struct oracle *o, int fd, struct err *err)
{
    struct stat st;
    o->fd = fd;
    if (fstat(fd, &st) != 0 || st.st_size < 0 || (size_t)st.st_size < o->bytes) {
        return err_set(err, ERR_ENVIRONMENT, "the oracle's memory is smaller than it says");
    }
    return 0;
}

/* A failed call of the driver's: not the candidate's fault either. */
static int check(struct oracle *o, CUresult result, const char *what, struct err *err)
{
    int r = gpu_check(o->gpu, result, what, err);
    if (r < 0) {
        err_wrap(err, "the oracle's memory");
        r = ERR_ENVIRONMENT;
        if (err) {
            err->code = r;
        }
    }
    return r;
}

static int take_device(struct oracle *o, int fd, struct err *err)
{
    const struct cuda_api *cu = &o->gpu->cu;
    if (!cu->cuMemImportFromShareableHandle || !cu->cuMemAddressReserve || !cu->cuMemMap
        || !cu->cuMemSetAccess || !cu->cuMemGetAllocationGranularity) {
        close(fd);
        return err_set(err, ERR_ENVIRONMENT, "this driver can't share memory with the oracle");
    }
    CUmemAllocationProp kind = { .type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                 .requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
                                 .location = { .type = CU_MEM_LOCATION_TYPE_DEVICE,
                                               .id = o->gpu->device } };
    int r = check(o, cu->cuMemGetAllocationGranularity(&o->granule, &kind,
                                                       CU_MEM_ALLOC_GRANULARITY_MINIMUM),
                  "cuMemGetAllocationGranularity", err);
    if (r == 0) {
        r = check(o, cu->cuMemImportFromShareableHandle(&o->handle, (void *)(intptr_t)fd,
                                                        CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR),
                  "cuMemImportFromShareableHandle", err);
    }
    close(fd);
    if (r == 0) {
        o->bytes = (o->bytes + o->granule - 1) / o->granule * o->granule;
        r = check(o, cu->cuMemAddressReserve(&o->base, o->bytes, 0, 0, 0), "cuMemAddressReserve", err);
    }
    return r;
}

static json_t *opening(const struct bound *bound, const char *precision, bool plain)
{
    json_t *tensors = json_array();
    for (size_t i = 0; i < bound->n_tensors; i++) {
        const struct bound_buffer *b = &bound->buffers[i];
        json_array_append_new(tensors, json_pack("[s,I]", dtype_name(b->dtype), (json_int_t)b->count));
    }
    return json_pack("{s:s,s:o,s:s,s:b}", "kind", "open", "tensors", tensors, "precision",
                     precision ? precision : "f32", "plain", plain);
}

/* An ill-conditioned problem doesn't make everything right. */
static const double rounded_most = 0.05;

static double share_of(const json_t *pair, size_t i)
{
    static const double most = 2.5e-3;
    double share = json_number_value(json_array_get(pair, i));
    return share > 0 ? MIN(share, most) : 0;
}

static int read_places(struct oracle *o, const json_t *answer, const struct bound *bound,
                       struct err *err)
{
    const json_t *places = json_object_get(answer, "places");
    json_int_t bytes = json_integer_value(json_object_get(answer, "bytes"));
    bool good = bytes > 0 && json_array_size(places) == bound->n_tensors;
    for (size_t i = 0; good && i < bound->n_tensors; i++) {
        json_int_t at = json_integer_value(json_array_get(places, i));
        size_t need = rig_bytes(&bound->buffers[i]);
        good = at >= 0 && at % 16 == 0 && at <= bytes && need <= (size_t)(bytes - at);
        o->places[i] = good ? (size_t)at : 0;
        const json_t *off = json_array_get(json_object_get(answer, "off"), i);
        o->off[i] = share_of(off, 0);
        o->off_rms[i] = share_of(off, 1);
        const json_t *rounded = json_array_get(json_object_get(answer, "rounded"), i);
        for (size_t mode = 0; mode < GATE_MODE_COUNT; mode++) {
            double most = json_number_value(json_array_get(rounded, mode));
            o->rounded[i][mode] = most > 0 ? MIN(most, rounded_most) : 0;
        }
    }
    json_int_t hidden = json_integer_value(json_object_get(answer, "hidden"));
    o->hidden = hidden == 5 ? 5 : 4;
    o->bytes = good ? (size_t)bytes : 0;
    o->host = json_is_true(json_object_get(answer, "host"));
    return good ? 0 : err_set(err, ERR_ENVIRONMENT, "the oracle's answer makes no sense");
}

int oracle_open(struct oracle *o, struct gpu *gpu, const struct channel *channel,
                const struct bound *bound, const char *precision, bool plain, struct err *err)
{
    *o = (struct oracle) { .gpu = gpu, .channel = channel, .fd = -1 };
    json_t *answer = NULL;
    int fd = -1;
    int r = ask(o, opening(bound, precision, plain), &answer, err);
    if (r < 0) {
        return r;
    }
    o->opened = true;
    r = receive((uint64_t)json_integer_value(json_object_get(answer, "serial")), &fd, err);
    r = r < 0 ? r : read_places(o, answer, bound, err);
    if (r < 0 && fd >= 0) {
        close(fd);
    }
    r = r < 0 ? r : o->host ? take_host(o, fd, err) : take_device(o, fd, err);
    json_decref(answer);
    return r;
}

static int map(struct oracle *o, struct err *err)
{
    if (o->host) {
        o->mapped = mmap(NULL, o->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, o->fd, 0);
        if (o->mapped == MAP_FAILED) {
            o->mapped = NULL;
            return err_set(err, ERR_ENVIRONMENT, "the oracle's memory can't be mapped: %s",
                           strerror(errno));
        }
        return 0;
    }
    const struct cuda_api *cu = &o->gpu->cu;
    CUmemAccessDesc access
        = { .location = { .type = CU_MEM_LOCATION_TYPE_DEVICE, .id = o->gpu->device },
            .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE };
    int r = check(o, cu->cuMemMap(o->base, o->bytes, 0, o->handle, 0), "cuMemMap", err);
    if (r == 0) {
        r = check(o, cu->cuMemSetAccess(o->base, o->bytes, &access, 1), "cuMemSetAccess", err);
        if (r < 0) {
            cu->cuMemUnmap(o->base, o->bytes);
        }
    }
    return r;
}

static int unmap(struct oracle *o, int before, struct err *err)
{
    int r = 0;
    if (o->host) {
        munmap(o->mapped, o->bytes);
        o->mapped = NULL;
    } else {
        struct err *first = before < 0 ? NULL : err;
        r = gpu_finish(o->gpu, "copying from the oracle", first);
        int gone = check(o, o->gpu->cu.cuMemUnmap(o->base, o->bytes), "cuMemUnmap", r < 0 ? NULL : first);
        r = r < 0 ? r : gone;
    }
    return before < 0 ? before : r;
}

static int copy(struct oracle *o, const struct rig_buffers *set, size_t i, bool in, struct err *err)
{
    const struct cuda_api *cu = &o->gpu->cu;
    size_t bytes = rig_bytes(&set->buffers[i]);
    char *host = (char *)o->mapped + o->places[i];
    CUdeviceptr at = o->base + o->places[i];
    if (o->host) {
        return check(o, in ? cu->cuMemcpyHtoD(set->at[i], host, bytes)
                           : cu->cuMemcpyDtoH(host, set->at[i], bytes), "cuMemcpy", err);
    }
    return check(o, in ? cu->cuMemcpyDtoDAsync(set->at[i], at, bytes, o->gpu->stream)
                       : cu->cuMemcpyDtoDAsync(at, set->at[i], bytes, o->gpu->stream),
                 "cuMemcpyDtoDAsync", err);
}

static unsigned part_of(const struct bound_buffer *b)
{
    return b->role == TENSOR_ROLE_INPUT  ? RIG_PART_INPUTS
        : b->role == TENSOR_ROLE_WEIGHT  ? RIG_PART_WEIGHTS
        : b->role == TENSOR_ROLE_INOUT   ? RIG_PART_INOUT
                                         : 0;
}

/* Tensors of these parts (0: the outputs) from the oracle, or to it. */
static int copy_parts(struct oracle *o, const struct rig_buffers *set, size_t n, unsigned parts,
                      bool in, struct err *err)
{
    int r = gpu_finish(o->gpu, "before the oracle", err);
    r = r < 0 ? r : map(o, err);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; r == 0 && i < n; i++) {
        const struct bound_buffer *b = &set->buffers[i];
        bool wanted = parts ? (part_of(b) & parts) != 0 : rig_is_output(b);
        r = wanted ? copy(o, set, i, in, err) : 0;
    }
    return unmap(o, r, err);
}

int oracle_make(struct oracle *o, const struct rig_buffers *to, size_t n, unsigned parts,
                const uint64_t seeds[3], enum gate_mode mode, struct err *err)
{
    static const char *const keys[] = { "inputs", "weights", "inout" };
    unsigned there = 0;
    for (size_t i = 0; i < n; i++) {
        there |= part_of(&to->buffers[i]);
    }
    if ((parts & there) == 0) {
        return 0;
    }
    json_t *question = json_pack("{s:s,s:s}", "kind", "make", "mode",
                                 modes[mode < GATE_MODE_COUNT ? mode : GATE_MODE_OWN]);
    for (unsigned k = 0; k < ARRAY_LEN(keys); k++) {
        if (parts & there & (1u << k)) {
            json_object_set_new(question, keys[k], json_integer((json_int_t)(seeds[k] >> 2)));
        }
    }
    int r = ask_plainly(o, question, err);
    return r < 0 ? r : copy_parts(o, to, n, parts & there, true, err);
}

int oracle_run(struct oracle *o, const struct rig_buffers *set, size_t n, bool as_is, struct err *err)
{
    int r = copy_parts(o, set, n, RIG_PART_ALL, false, err);
    r = r < 0 ? r : ask_plainly(o, json_pack("{s:s,s:b}", "kind", "run", "as_is", as_is), err);
    return r < 0 ? r : copy_parts(o, set, n, 0, true, err);
}

int oracle_make_plain(struct oracle *o, const struct rig_buffers *to, size_t n, unsigned parts,
                      const struct oracle_plain *how, struct err *err)
{
    unsigned there = 0;
    for (size_t i = 0; i < n; i++) {
        there |= part_of(&to->buffers[i]);
    }
    if ((parts & there) == 0) {
        return 0;
    }
    json_t *question = json_pack("{s:s,s:b,s:b,s:i,s:f,s:I,s:b,s:b}", "kind", "make", "plain", 1, "exact",
                                 how->exact, "draw", how->draw, "scale", how->scale, "seed",
                                 (json_int_t)(how->seed >> 2), "inputs", (parts & RIG_PART_INPUTS) != 0,
                                 "weights", (parts & RIG_PART_WEIGHTS) != 0);
    int r = ask_plainly(o, question, err);
    return r < 0 ? r : copy_parts(o, to, n, parts & there, true, err);
}

int oracle_run_plain(struct oracle *o, const struct rig_buffers *to, size_t n, struct err *err)
{
    int r = ask_plainly(o, json_pack("{s:s,s:b}", "kind", "run", "plain", 1), err);
    return r < 0 ? r : copy_parts(o, to, n, 0, true, err);
}

void oracle_close(struct oracle *o)
{
    const struct cuda_api *cu = &o->gpu->cu;
    if (o->fd >= 0) {
        close(o->fd);
        o->fd = -1;
    }
    if (o->base && !o->gpu->broken) {
        cu->cuMemAddressFree(o->base, o->bytes);
    }
    if (o->handle && !o->gpu->broken) {
        cu->cuMemRelease(o->handle);
    }
    if (o->opened) {
        struct err ignored = { 0 };
        (void)!ask_plainly(o, json_pack("{s:s}", "kind", "close"), &ignored);
    }
    o->opened = false;
    o->base = o->handle = 0;
}
