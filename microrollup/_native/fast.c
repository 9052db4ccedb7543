/* What costs most when it is called from Python once an action: hashes, trees of hashes, senders of signatures.
 *
 * Plain C11 without Python's API; `library.py` loads it with ctypes. Nothing here decides anything: for every input the
 * result is that of the Python code beside which it stands. Every function checks its arguments, and returns OK or what
 * is wrong with them; then nothing was written. Inputs and outputs do not overlap.
 */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "words are read as they lie in memory: little-endian machines only"
#endif
#ifndef SOURCE_HASH
#error "the build names the hash of the source: -DSOURCE_HASH=..."
#endif

#define QUOTE(text) #text
#define QUOTED(text) QUOTE(text)
#define EXPORT __attribute__((visibility("default")))

enum { OK = 0, BAD_ARGUMENT = 1, BAD_LEVEL = 2 };
enum { RATE = 136, RATE_WORDS = 17, HASH_BYTES = 32, MAX_LANES = 8, NO_PREFIX = -1 };

static const size_t MAX_COUNT = (size_t)1 << 31;
static const size_t MAX_BYTES = (size_t)1 << 40;

static const uint64_t ROUND_CONSTANTS[24] = {
    0x0000000000000001, 0x0000000000008082, 0x800000000000808A, 0x8000000080008000, 0x000000000000808B,
    0x0000000080000001, 0x8000000080008081, 0x8000000000008009, 0x000000000000008A, 0x0000000000000088,
    0x0000000080008009, 0x000000008000000A, 0x000000008000808B, 0x800000000000008B, 0x8000000000008089,
    0x8000000000008003, 0x8000000000008002, 0x8000000000000080, 0x000000000000800A, 0x800000008000000A,
    0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
};

/* What is hashed: a first byte, unless it is NO_PREFIX, and the bytes. */
typedef struct {
    const uint8_t *bytes;
    size_t length;
    int prefix;
} message;

static size_t count_blocks(const message *m)
{
    return (m->length + (m->prefix != NO_PREFIX)) / RATE + 1;
}

/* The index-th block of a message, where it lies or composed in `buffer`; the last one is padded (0x01 ... 0x80). */
static const uint8_t *take_block(const message *m, size_t index, uint8_t buffer[RATE])
{
    const size_t before = m->prefix != NO_PREFIX, total = m->length + before, start = index * RATE;
    size_t place = 0, length;

    if (start + RATE <= total && (start > 0 || !before))
        return m->bytes + (start - before);
    if (start == 0 && before)
        buffer[place++] = (uint8_t)m->prefix;
    length = total - (start + place);
    if (length > RATE - place)
        length = RATE - place;
    if (length > 0)
        memcpy(buffer + place, m->bytes + (start + place - before), length);
    memset(buffer + place + length, 0, RATE - place - length);
    if (total < start + RATE) {
        buffer[total - start] ^= 0x01;
        buffer[RATE - 1] ^= 0x80;
    }
    return buffer;
}

#define LANES 1
#define TARGET
#define NAME(x) x##_plain
#define XOR3(a, b, c) ((a) ^ (b) ^ (c))
#define CHI(a, b, c) ((a) ^ (~(b) & (c)))
#define ROTATE(a, n) (((a) << (n)) | ((a) >> (64 - (n))))
#include "lanes.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define HAS_VECTORS 1
#include <immintrin.h>

#define LANES 4
#define TARGET __attribute__((target("avx2")))
#define NAME(x) x##_avx2
#define XOR3(a, b, c) ((a) ^ (b) ^ (c))
#define CHI(a, b, c) ((a) ^ (~(b) & (c)))
#define ROTATE(a, n) (((a) << (n)) | ((a) >> (64 - (n))))
#include "lanes.h"

#define LANES 8
#define TARGET __attribute__((target("avx512f")))
#define NAME(x) x##_avx512
#define XOR3(a, b, c) ((word_avx512)_mm512_ternarylogic_epi64((__m512i)(a), (__m512i)(b), (__m512i)(c), 0x96))
#define CHI(a, b, c) ((word_avx512)_mm512_ternarylogic_epi64((__m512i)(a), (__m512i)(b), (__m512i)(c), 0xD2))
#define ROTATE(a, n) ((word_avx512)_mm512_rol_epi64((__m512i)(a), (n)))
#include "lanes.h"
#endif

/* Which instructions are used; each level does without those of the next. */
enum { PLAIN = 0, AVX2 = 1, AVX512 = 2 };

static int find_level(void)
{
#ifdef HAS_VECTORS
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f"))
        return AVX512;
    if (__builtin_cpu_supports("avx2"))
        return AVX2;
#endif
    return PLAIN;
}

static int is_level(int level)
{
    return level >= PLAIN && level <= find_level();
}

static size_t count_lanes(int level)
{
    return level == AVX512 ? 8 : level == AVX2 ? 4 : 1;
}

static void hash_some(int level, const message *messages, size_t count, uint8_t *out)
{
#ifdef HAS_VECTORS
    if (level == AVX512) {
        hash_some_avx512(messages, count, out);
        return;
    }
    if (level == AVX2) {
        hash_some_avx2(messages, count, out);
        return;
    }
#else
    (void)level;
#endif
    hash_some_plain(messages, count, out);
}

/* Rows of one length lie one after the other. Rows of 64 bytes may be overwritten by their hashes. */
static void hash_rows(int level, const uint8_t *rows, size_t row_bytes, size_t count, int prefix, uint8_t *out)
{
    const size_t lanes = count_lanes(level);
    message some[MAX_LANES];

    for (size_t first = 0; first < count; first += lanes) {
        const size_t here = count - first < lanes ? count - first : lanes;
        for (size_t lane = 0; lane < here; lane++)
            some[lane] = (message){rows + row_bytes * (first + lane), row_bytes, prefix};
        hash_some(level, some, here, out + HASH_BYTES * first);
    }
}

static void hash_items(int level, const uint8_t *data, const uint64_t *ends, size_t count, int prefix, uint8_t *out)
{
    const size_t lanes = count_lanes(level);
    message some[MAX_LANES];
    size_t start = 0;

    for (size_t first = 0; first < count; first += lanes) {
        const size_t here = count - first < lanes ? count - first : lanes;
        for (size_t lane = 0; lane < here; lane++) {
            const size_t end = (size_t)ends[first + lane];
            some[lane] = (message){data + start, end - start, prefix};
            start = end;
        }
        hash_some(level, some, here, out + HASH_BYTES * first);
    }
}

/* Whether items that end at `ends`, ascending, fill `bytes` exactly. */
static int are_items(const uint8_t *data, size_t bytes, const uint64_t *ends, size_t count)
{
    uint64_t end = 0;

    if (data == NULL || ends == NULL || count == 0 || count > MAX_COUNT || bytes > MAX_BYTES)
        return 0;
    for (size_t i = 0; i < count; i++) {
        if (ends[i] < end)
            return 0;
        end = ends[i];
    }
    return end == bytes;
}

/* SHA-256 of the source that this was built from, in hex. */
EXPORT const char *microrollup_source_hash(void)
{
    return QUOTED(SOURCE_HASH);
}

/* The highest level that this processor has. */
EXPORT int microrollup_find_level(void)
{
    return find_level();
}

/* keccak256 of each of `count` rows of `row_bytes` bytes; `bytes` is what they have together. */
EXPORT int microrollup_hash_rows(
    int level, const uint8_t *rows, size_t bytes, size_t row_bytes, size_t count, uint8_t *out, size_t out_bytes)
{
    if (!is_level(level))
        return BAD_LEVEL;
    if (rows == NULL || out == NULL || count == 0 || count > MAX_COUNT || row_bytes == 0 || row_bytes > MAX_BYTES / count)
        return BAD_ARGUMENT;
    if (bytes != row_bytes * count || out_bytes != HASH_BYTES * count)
        return BAD_ARGUMENT;
    hash_rows(level, rows, row_bytes, count, NO_PREFIX, out);
    return OK;
}

/* keccak256 of each of `count` items, the i-th of which ends before byte ends[i] of `data`. */
EXPORT int microrollup_hash_items(
    int level, const uint8_t *data, size_t bytes, const uint64_t *ends, size_t count, uint8_t *out, size_t out_bytes)
{
    if (!is_level(level))
        return BAD_LEVEL;
    if (!are_items(data, bytes, ends, count) || out == NULL || out_bytes != HASH_BYTES * count)
        return BAD_ARGUMENT;
    hash_items(level, data, ends, count, NO_PREFIX, out);
    return OK;
}

/* Fold the hashes of the leaves, in place, to the root of `crypto/merkle/items.py`, the first 32 bytes. */
static void fold_levels(int level, uint8_t *hashes, size_t count)
{
    while (count > 1) {
        const size_t pairs = count / 2;
        hash_rows(level, hashes, 2 * HASH_BYTES, pairs, 0x01, hashes);
        if (count % 2)
            memmove(hashes + HASH_BYTES * pairs, hashes + HASH_BYTES * (count - 1), HASH_BYTES);
        count = pairs + count % 2;
    }
}

/* The root of `crypto/merkle/items.py` over items as in `microrollup_hash_items`. `hashes` has room for the leaves; the
 * root is its first 32 bytes.
 */
EXPORT int microrollup_fold_items(
    int level, const uint8_t *data, size_t bytes, const uint64_t *ends, size_t count, uint8_t *hashes, size_t hash_bytes)
{
    if (!is_level(level))
        return BAD_LEVEL;
    if (!are_items(data, bytes, ends, count) || hashes == NULL || hash_bytes != HASH_BYTES * count)
        return BAD_ARGUMENT;
    hash_items(level, data, ends, count, 0x00, hashes);
    fold_levels(level, hashes, count);
    return OK;
}

/* Functions of libsecp256k1 and its context, as coincurve holds them; the sizes are those of its structs. */
typedef struct {
    const struct secp256k1_context_struct *context;
    int (*parse)(const struct secp256k1_context_struct *, void *signature, const unsigned char *compact, int id);
    int (*recover)(const struct secp256k1_context_struct *, void *key, const void *signature, const unsigned char *digest);
    int (*serialize)(
        const struct secp256k1_context_struct *, unsigned char *out, size_t *bytes, const void *key, unsigned int flags);
    size_t signature_bytes;
    size_t key_bytes;
} secp256k1;

enum { DIGEST_BYTES = 32, SIGNATURE_BYTES = 65, POINT_BYTES = 65, ADDRESS_BYTES = 20, UNCOMPRESSED = 2 };
enum { SIGNATURE_STRUCT_BYTES = 65, KEY_STRUCT_BYTES = 64, KEYS_AT_ONCE = 64 };

/* Whether a key was recovered; its two coordinates go to `point`. */
static int recover_point(const secp256k1 *lib, const uint8_t *digest, const uint8_t *signature, uint8_t *point)
{
    _Alignas(16) unsigned char parsed[SIGNATURE_STRUCT_BYTES], key[KEY_STRUCT_BYTES];
    unsigned char serialized[POINT_BYTES];
    size_t bytes = POINT_BYTES;

    if (signature[64] > 3) /* for which libsecp256k1 aborts the process */
        return 0;
    if (!lib->parse(lib->context, parsed, signature, signature[64]))
        return 0;
    if (!lib->recover(lib->context, key, parsed, digest))
        return 0;
    if (!lib->serialize(lib->context, serialized, &bytes, key, UNCOMPRESSED) || bytes != POINT_BYTES)
        return 0;
    memcpy(point, serialized + 1, POINT_BYTES - 1);
    return 1;
}

/* Of each of `count` digests (32 bytes) and signatures (`r || s || recovery id`, 65 bytes): found[i] is 1 and the i-th
 * of `addresses` (20 bytes) that of the key which made it, or found[i] is 0 and the address zero.
 */
EXPORT int microrollup_recover_many(
    int level, const secp256k1 *lib, const uint8_t *digests, size_t digest_bytes, const uint8_t *signatures,
    size_t signature_bytes, size_t count, uint8_t *addresses, size_t address_bytes, uint8_t *found, size_t found_bytes)
{
    uint8_t points[KEYS_AT_ONCE * 2 * HASH_BYTES], hashes[KEYS_AT_ONCE * HASH_BYTES];

    if (!is_level(level))
        return BAD_LEVEL;
    if (lib == NULL || lib->context == NULL || lib->parse == NULL || lib->recover == NULL || lib->serialize == NULL)
        return BAD_ARGUMENT;
    if (lib->signature_bytes != SIGNATURE_STRUCT_BYTES || lib->key_bytes != KEY_STRUCT_BYTES)
        return BAD_ARGUMENT;
    if (digests == NULL || signatures == NULL || addresses == NULL || found == NULL || count == 0 || count > MAX_COUNT)
        return BAD_ARGUMENT;
    if (digest_bytes != DIGEST_BYTES * count || signature_bytes != SIGNATURE_BYTES * count)
        return BAD_ARGUMENT;
    if (address_bytes != ADDRESS_BYTES * count || found_bytes != count)
        return BAD_ARGUMENT;
    memset(points, 0, sizeof points);
    for (size_t first = 0; first < count; first += KEYS_AT_ONCE) {
        const size_t here = count - first < KEYS_AT_ONCE ? count - first : KEYS_AT_ONCE;
        for (size_t i = 0; i < here; i++) {
            const uint8_t *digest = digests + DIGEST_BYTES * (first + i);
            const uint8_t *signature = signatures + SIGNATURE_BYTES * (first + i);
            found[first + i] = (uint8_t)recover_point(lib, digest, signature, points + 2 * HASH_BYTES * i);
        }
        hash_rows(level, points, 2 * HASH_BYTES, here, NO_PREFIX, hashes);
        for (size_t i = 0; i < here; i++) {
            uint8_t *address = addresses + ADDRESS_BYTES * (first + i);
            if (found[first + i])
                memcpy(address, hashes + HASH_BYTES * i + (HASH_BYTES - ADDRESS_BYTES), ADDRESS_BYTES);
            else
                memset(address, 0, ADDRESS_BYTES);
        }
    }
    return OK;
}
