/* input.c -- plain, gzip (zlib) and zstd input behind one call. */
#include "feed/input.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "base/alloc.h"

enum { RAW_BYTES = 1 << 18 };

struct k2_input {
    char *path;
    int fd;
    enum { PLAIN, GZIP, ZSTD } form;
    bool is_told, is_ended, is_inside; /* inside: a member or frame has begun and not ended */
    int64_t taken, size;
    unsigned char *raw;
    size_t at, len;
    z_stream gzip;
    ZSTD_DStream *zstd;
};

struct k2_input *k2_input_open(const char *path, struct k2_err *err) {
    bool is_stdin = strcmp(path, "-") == 0;
    struct stat st;
    int fd = is_stdin ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st)) {
        k2_err_sys(err, "open %s", path);
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    if (S_ISDIR(st.st_mode)) {
        close(fd);
        k2_err_set(err, K2_INVALID, "%s is a folder, not a file", path);
        return NULL;
    }
    struct k2_input *input = k2_new(struct k2_input);
    input->path = k2_strdup(path);
    input->fd = fd;
    input->size = S_ISREG(st.st_mode) ? st.st_size : 0;
    input->raw = k2_alloc(RAW_BYTES);
    return input;
}

void k2_input_close(struct k2_input *input) {
    if (!input)
        return;
    if (input->form == GZIP)
        inflateEnd(&input->gzip);
    ZSTD_freeDStream(input->zstd);
    close(input->fd);
    k2_free(input->raw);
    k2_free(input->path);
    k2_free(input);
}

int64_t k2_input_at(const struct k2_input *input, int64_t *ret_size) {
    *ret_size = input->size;
    return input->taken;
}

/* Fills raw up to its end or that of the file. */
static bool fill(struct k2_input *in, struct k2_err *err) {
    memmove(in->raw, in->raw + in->at, in->len - in->at);
    in->len -= in->at;
    in->at = 0;
    while (in->len < RAW_BYTES && !in->is_ended) {
        ssize_t got = read(in->fd, in->raw + in->len, RAW_BYTES - in->len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return k2_err_sys(err, "read %s", in->path);
        in->is_ended = got == 0;
        in->len += (size_t)got;
        in->taken += got;
        if (in->len >= 4)
            break;
    }
    return true;
}

static bool tell_form(struct k2_input *in, struct k2_err *err) {
    static const unsigned char zstd_magic[] = {0x28, 0xb5, 0x2f, 0xfd};
    K2_TRY(fill(in, err));
    in->is_told = true;
    if (in->len >= 2 && in->raw[0] == 0x1f && in->raw[1] == 0x8b) {
        if (inflateInit2(&in->gzip, 15 + 16) != Z_OK)
            return k2_err_set(err, K2_LIMIT, "%s: zlib cannot start", in->path);
        in->form = GZIP;
    } else if (in->len >= 4 && memcmp(in->raw, zstd_magic, 4) == 0) {
        in->zstd = ZSTD_createDStream();
        ZSTD_DCtx_setParameter(in->zstd, ZSTD_d_windowLogMax, 27);
        in->form = ZSTD;
    }
    return true;
}

static bool broken(struct k2_input *in, const char *what, struct k2_err *err) {
    return k2_err_set(err, K2_CORRUPT, "%s: the %s stream %s after byte %lld", in->path,
                      in->form == GZIP ? "gzip" : "zstd", what,
                      (long long)(in->taken - (int64_t)(in->len - in->at)));
}

static bool inflate_some(struct k2_input *in, char *bytes, size_t room, size_t *ret_len,
                         struct k2_err *err) {
    z_stream *z = &in->gzip;
    z->next_in = in->raw + in->at;
    z->avail_in = (uInt)(in->len - in->at);
    z->next_out = (Bytef *)bytes;
    z->avail_out = (uInt)room;
    int result = inflate(z, Z_NO_FLUSH);
    in->at = in->len - z->avail_in;
    *ret_len = room - z->avail_out;
    in->is_inside = result != Z_STREAM_END;
    if (result == Z_STREAM_END)
        inflateReset(z); /* another member may follow */
    else if (result != Z_OK && result != Z_BUF_ERROR)
        return broken(in, "is broken", err);
    return true;
}

static bool unzstd_some(struct k2_input *in, char *bytes, size_t room, size_t *ret_len,
                        struct k2_err *err) {
    ZSTD_inBuffer from = {in->raw, in->len, in->at};
    ZSTD_outBuffer to = {bytes, room, 0};
    size_t left = ZSTD_decompressStream(in->zstd, &to, &from);
    if (ZSTD_isError(left))
        return broken(in, ZSTD_getErrorName(left), err);
    in->at = from.pos;
    *ret_len = to.pos;
    in->is_inside = left != 0;
    return true;
}

bool k2_input_read(struct k2_input *input, char *bytes, size_t room, size_t *ret_len,
                   struct k2_err *err) {
    *ret_len = 0;
    if (!input->is_told)
        K2_TRY(tell_form(input, err));
    for (;;) {
        if (input->at == input->len)
            K2_TRY(fill(input, err));
        size_t there = input->len - input->at;
        if (input->form == PLAIN) {
            *ret_len = K2_MIN(there, room);
            memcpy(bytes, input->raw + input->at, *ret_len);
            input->at += *ret_len;
            return true;
        }
        if (!there && !input->is_inside)
            return true;
        size_t before = input->at;
        if (!(input->form == GZIP ? inflate_some : unzstd_some)(input, bytes, room, ret_len, err))
            return false;
        if (*ret_len)
            return true;
        if (input->at == before && input->is_ended && !there)
            return broken(input, "ends early", err);
    }
}
