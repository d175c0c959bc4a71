/* SPDX-License-Identifier: MIT */
#include "base/file.h"
#include "base/util.h"
#include "memory/store_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { READERS_MAX = 510 };
#define ROOM_TO_GO_ON ((uint64_t)4 << 20) /* free disk from which writing goes on */
#define KEY_FORMAT "format"
#define KEY_ORIGIN "origin"

/* Network and cluster file systems by statfs(2)'s magic: a map there isn't coherent between hosts,
 * and robust mutexes don't reach across them. 9p stays allowed: it is how sandboxes show a disk. */
static const char *network_filesystem(const char *path)
{
    static const struct {
        uint32_t magic;
        const char *name;
    } known[] = {
        {0x6969, "NFS"},        {0x517b, "SMB"},      {0xff534d42, "CIFS"},   {0xfe534d42, "SMB2"},
        {0x0bd00bd0, "Lustre"}, {0x47504653, "GPFS"}, {0x19830326, "BeeGFS"}, {0x00c36400, "Ceph"},
        {0x5346414f, "AFS"},    {0x73757245, "Coda"}, {0x01161970, "GFS2"},   {0x7461636f, "OCFS2"},
    };
    struct statfs fs;
    if (statfs(path, &fs) < 0) {
        return NULL;
    }
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if ((uint32_t)fs.f_type == known[i].magic) {
            return known[i].name;
        }
    }
    return NULL;
}

static uint64_t disk_room(const char *path)
{
    struct statvfs fs;
    return statvfs(path, &fs) < 0 ? UINT64_MAX : (uint64_t)fs.f_bavail * fs.f_frsize;
}

bool store_env_has_room(const struct store *store)
{
    return disk_room(store->path) >= ROOM_TO_GO_ON;
}

/* Has the file grown to where this process may not write on (ulimit -f)? */
static bool at_limit(const struct store *store)
{
    auto_free char *path = xprintf("%s/data.mdb", store->path);
    struct rlimit limit;
    struct stat st;
    return getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY
        && stat(path, &st) == 0 && (uint64_t)st.st_size + ROOM_TO_GO_ON >= limit.rlim_cur;
}

static int no_room(const struct store *store, struct err *err)
{
    if (at_limit(store)) {
        return err_set(err, ERR_FULL, "store %s: no room left in the file: raise its limit (ulimit -f); "
                       "reading goes on", store->path);
    }
    return err_set(err, ERR_FULL,
                   "store %s: no room left on the disk (%.1f MB free): free some; reading goes on",
                   store->path, (double)disk_room(store->path) / 1e6);
}

int store_env_fail(const struct store *store, int mdb, struct err *err)
{
    const char *path = store->path;
    switch (mdb) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return no_room(store, err);
    case EIO: /* LMDB's code for a short write too */
        if (!store_env_has_room(store) || at_limit(store)) {
            return no_room(store, err);
        }
        return err_set(err, -EIO, "store %s: the disk failed to read or write", path);
    case EACCES:
    case EPERM:
    case EROFS:
        return err_set(err, -mdb, "store %s: %s: use a folder that you may write, with --store",
                       path, strerror(mdb));
    case ENOMEM:
        return err_set(err, -ENOMEM,
                       "store %s: no address space for a map of %" PRIu64
                       " MB (is there a limit on virtual memory?)",
                       path, store->options.map_size >> 20);
    case MDB_INVALID:
        return err_set(err, ERR_INVALID, "store %s: data.mdb is not a store", path);
    case MDB_VERSION_MISMATCH:
        return err_set(err, ERR_VERSION,
                       "store %s: data.mdb is of another LMDB version: dump it with that one "
                       "(mdb_dump) and load it here (mdb_load)",
                       path);
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
        return err_set(err, ERR_INVALID,
                       "store %s: the database is damaged (%s): go back to a copy, or start a new "
                       "store",
                       path, mdb_strerror(mdb));
    case MDB_PANIC:
        return err_set(err, -EIO, "store %s: an earlier write failed half-way: open it again",
                       path);
    case MDB_READERS_FULL:
        return err_set(err, ERR_BUSY, "store %s: more than %d readers at once", path, READERS_MAX);
    case MDB_MAP_FULL:
        return err_set(err, ERR_FULL, "store %s: it has reached its limit of %" PRIu64 " MB", path,
                       store->options.map_most >> 20);
    default:
        return err_set(err, mdb > 0 ? -mdb : ERR_BUG, "store %s: %s", path, mdb_strerror(mdb));
    }
}

/* LMDB 0.9.24 opens its lock file close-on-exec but not data.mdb, which a worker would inherit. */
static void close_on_exec(struct store *store)
{
    mdb_filehandle_t fd;
    if (mdb_env_get_fd(store->env, &fd) == 0) {
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
}

/* A data file cut short would be a SIGBUS on the first read behind its end. LMDB may also leave its
 * last pages unwritten when they are free, so the hole is filled (with zeros, which read as damage)
 * rather than taken for one. Inside a write transaction, since another process may be growing it.
 */
static int fill_cut(struct store *store, struct err *err)
{
    mdb_filehandle_t fd;
    MDB_envinfo info;
    MDB_stat stat;
    struct stat file;
    mdb_env_get_fd(store->env, &fd);
    mdb_env_info(store->env, &info);
    mdb_env_stat(store->env, &stat);
    int64_t need = (int64_t)(info.me_last_pgno + 1) * stat.ms_psize;
    if (fstat(fd, &file) < 0 || file.st_size >= need) {
        return 0;
    }
    if (store->options.read_only) {
        return err_set(err, ERR_INVALID, "store %s: data.mdb is cut short (%lld bytes of %lld)",
                       store->path, (long long)file.st_size, (long long)need);
    }
    MDB_txn *txn;
    int r = mdb_txn_begin(store->env, NULL, 0, &txn);
    if (r == 0) {
        if (fstat(fd, &file) == 0 && file.st_size < need && ftruncate(fd, need) < 0) {
            r = errno;
        }
        mdb_txn_abort(txn);
    }
    return r ? store_env_fail(store, r, err) : 0;
}

static int read_text(MDB_txn *txn, MDB_dbi dbi, const char *name, char *ret, size_t size)
{
    MDB_val key = {strlen(name), (void *)(uintptr_t)name}, value;
    int r = mdb_get(txn, dbi, &key, &value);
    if (r) {
        return r;
    }
    if (value.mv_size >= size) {
        return MDB_INVALID;
    }
    memcpy(ret, value.mv_data, value.mv_size);
    ret[value.mv_size] = '\0';
    return 0;
}

/* 0: ours; ERR_NOTFOUND: an empty database, to be made ours. */
static int check_format(struct store *store, MDB_txn *txn, struct err *err)
{
    MDB_dbi meta, root;
    MDB_stat stat;
    char format[16];
    int64_t number;
    int r = mdb_dbi_open(txn, store_db_name(STORE_DB_META), 0, &meta);
    if (r == MDB_NOTFOUND) {
        r = mdb_dbi_open(txn, NULL, 0, &root);
        if (r == 0) {
            r = mdb_stat(txn, root, &stat);
        }
        if (r == 0 && stat.ms_entries == 0) {
            return ERR_NOTFOUND;
        }
        return r ? store_env_fail(store, r, err)
                 : err_set(err, ERR_INVALID,
                           "store %s: this LMDB database belongs to another program", store->path);
    }
    if (r == 0) {
        r = read_text(txn, meta, KEY_FORMAT, format, sizeof(format));
    }
    if (r == 0) {
        r = read_text(txn, meta, KEY_ORIGIN, store->origin, sizeof(store->origin));
    }
    if (r == MDB_NOTFOUND || r == MDB_INVALID || (r == 0 && !str_to_i64(format, &number))) {
        return err_set(err, ERR_INVALID, "store %s: its meta records are missing or damaged",
                       store->path);
    }
    if (r) {
        return store_env_fail(store, r, err);
    }
    if (number > STORE_FORMAT) {
        return err_set(err, ERR_VERSION,
                       "store %s: written by a newer warpsmith (format %lld, this one knows %d): "
                       "update, or use another folder with --store",
                       store->path, (long long)number, STORE_FORMAT);
    }
    return 0;
}

/* Opens the databases; MDB_NOTFOUND if one is missing and flags don't say MDB_CREATE. */
static int open_dbs(struct store *store, MDB_txn *txn, unsigned flags)
{
    int missing = 0;
    for (int db = 0; db < STORE_DB_COUNT; db++) {
        MDB_dbi dbi;
        int r = mdb_dbi_open(txn, store_db_name((enum store_db)db), flags, &dbi);
        if (r && r != MDB_NOTFOUND) {
            return r;
        }
        missing |= r;
        store->dbis[db] = r ? STORE_NO_DBI : (int64_t)dbi;
    }
    return missing;
}

static int put_text(struct store *store, MDB_txn *txn, const char *name, const char *text)
{
    MDB_val key = {strlen(name), (void *)(uintptr_t)name};
    MDB_val value = {strlen(text), (void *)(uintptr_t)text};
    return mdb_put(txn, (MDB_dbi)store->dbis[STORE_DB_META], &key, &value, 0);
}

/* A new store, or one of an older program that had fewer databases. */
static int make_dbs(struct store *store, struct err *err)
{
    MDB_txn *txn;
    int r = mdb_txn_begin(store->env, NULL, 0, &txn);
    if (r) {
        return store_env_fail(store, r, err);
    }
    int found = check_format(store, txn, err);
    if (found < 0 && found != ERR_NOTFOUND) {
        mdb_txn_abort(txn);
        return found;
    }
    r = open_dbs(store, txn, MDB_CREATE);
    if (r == 0 && found == ERR_NOTFOUND) {
        unsigned char origin[(STORE_ORIGIN - 1) / 2];
        random_bytes(origin, sizeof(origin));
        for (size_t i = 0; i < sizeof(origin); i++) {
            snprintf(store->origin + 2 * i, 3, "%02x", origin[i]);
        }
        char format[16];
        snprintf(format, sizeof(format), "%d", STORE_FORMAT);
        r = put_text(store, txn, KEY_FORMAT, format);
        r = r ? r : put_text(store, txn, KEY_ORIGIN, store->origin);
    }
    if (r) {
        mdb_txn_abort(txn);
    } else {
        r = mdb_txn_commit(txn);
    }
    return r ? store_env_fail(store, r, err) : 0;
}

/* Reading first: a store that is complete opens without waiting for a writer, and on a full disk.
 */
static int attach(struct store *store, struct err *err)
{
    MDB_txn *txn;
    int r = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);
    if (r) {
        return store_env_fail(store, r, err);
    }
    int found = check_format(store, txn, err);
    if (found < 0 && (found != ERR_NOTFOUND || store->options.read_only)) {
        mdb_txn_abort(txn);
        return found != ERR_NOTFOUND
                   ? found
                   : err_set(err, ERR_NOTFOUND, "store %s: nothing was ever kept there",
                             store->path);
    }
    r = found < 0 ? MDB_NOTFOUND : open_dbs(store, txn, 0);
    if (r == 0 || (r == MDB_NOTFOUND && store->options.read_only)) {
        r = mdb_txn_commit(txn); /* keeps the handles */
        return r ? store_env_fail(store, r, err) : 0;
    }
    mdb_txn_abort(txn);
    return r == MDB_NOTFOUND ? make_dbs(store, err) : store_env_fail(store, r, err);
}

static int prepare_folder(struct store *store, struct err *err)
{
    auto_free char *data = xprintf("%s/data.mdb", store->path);
    bool there = file_exists(data);
    if (store->options.read_only && !there) {
        return err_set(err, ERR_NOTFOUND, "store %s: there is no store here", store->path);
    }
    int r = there ? 0 : folder_make(store->path, err);
    if (r < 0) {
        return err_wrap(err, "store %s", store->path);
    }
    const char *network = store->options.any_filesystem ? NULL : network_filesystem(store->path);
    if (network) {
        return err_set(err, ERR_UNSUPPORTED,
                       "store %s: on %s, where locks and maps don't hold: use a folder on a local "
                       "disk with --store, and memory export to carry it over",
                       store->path, network);
    }
    /* LMDB maps its lock file before it knows of room, which would be a SIGBUS on a full disk. */
    auto_free char *lock = xprintf("%s/lock.mdb", store->path);
    if (!file_exists(lock) && disk_room(store->path) < ((uint64_t)1 << 20)) {
        return no_room(store, err);
    }
    return 0;
}

int store_env_open(struct store *store, struct err *err)
{
    int r = prepare_folder(store, err);
    if (r < 0) {
        return r;
    }
    const struct store_options *options = &store->options;
    r = mdb_env_create(&store->env);
    if (r) {
        store->env = NULL;
        return store_env_fail(store, r, err);
    }
    mdb_env_set_maxdbs(store->env, STORE_DB_COUNT + 8);
    mdb_env_set_maxreaders(store->env, READERS_MAX);
    r = mdb_env_set_mapsize(store->env, options->map_size);
    if (r == 0) {
        r = mdb_env_open(store->env, store->path, MDB_NOTLS | (options->read_only ? MDB_RDONLY : 0),
                         0600);
    }
    r = r ? store_env_fail(store, r, err) : fill_cut(store, err);
    if (r == 0) {
        close_on_exec(store);
        store_env_check_readers(store);
        store->readers_checked_ns = clock_ns();
        r = attach(store, err);
    }
    if (r < 0) {
        store_env_close(store);
        return r;
    }
    store->seen = store_env_last_transaction(store);
    return 0;
}

void store_env_close(struct store *store)
{
    if (store->env) {
        mdb_env_close(store->env);
        store->env = NULL;
    }
}

static int set_size(struct store *store, uint64_t size, struct err *err)
{
    require(store->views == 0); /* LMDB would move the map under the reader, and say nothing */
    int r = mdb_env_set_mapsize(store->env, size);
    return r ? store_env_fail(store, r, err) : 0;
}

int store_env_grow(struct store *store, struct err *err)
{
    MDB_envinfo info;
    mdb_env_info(store->env, &info);
    uint64_t most = store->options.map_most;
    return info.me_mapsize >= most ? store_env_fail(store, MDB_MAP_FULL, err)
                                   : set_size(store, MIN(2 * info.me_mapsize, most), err);
}

int store_env_adopt(struct store *store, struct err *err)
{
    return set_size(store, 0, err);
}

void store_env_check_readers(struct store *store)
{
    int dead;
    mdb_reader_check(store->env, &dead);
}

uint64_t store_env_last_transaction(const struct store *store)
{
    MDB_envinfo info;
    mdb_env_info(store->env, &info);
    return info.me_last_txnid;
}
