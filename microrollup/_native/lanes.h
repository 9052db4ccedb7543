/* Keccak-256 of LANES messages at a time. fast.c includes this file once for each kind of processor, with
 *
 *   LANES          1, 4 or 8
 *   TARGET         the attribute that allows the processor's instructions, or nothing
 *   NAME(x)        x with a suffix of its own
 *   XOR3(a, b, c)  a ^ b ^ c
 *   CHI(a, b, c)   a ^ (~b & c)
 *   ROTATE(a, n)   each 64-bit word turned left by 0 < n < 64 bits
 */

#if LANES == 1
typedef uint64_t NAME(word);
#else
typedef uint64_t NAME(word) __attribute__((vector_size(8 * LANES)));
#endif

#define WORD NAME(word)
#define XOR5(a, b, c, d, e) XOR3(XOR3(a, b, c), d, e)

/* One row of chi; the first row gets the round's constant besides. */
#define CHI_ROW(row, b0, b1, b2, b3, b4) \
    s[row] = CHI(b0, b1, b2); \
    s[row + 1] = CHI(b1, b2, b3); \
    s[row + 2] = CHI(b2, b3, b4); \
    s[row + 3] = CHI(b3, b4, b0); \
    s[row + 4] = CHI(b4, b0, b1)

/* Keccak-f[1600], FIPS 202 section 3.3; lane (x, y) is s[5 * y + x]. */
TARGET static inline __attribute__((always_inline)) void NAME(permute)(WORD s[25])
{
    for (int round = 0; round < 24; round++) {
        const WORD c0 = XOR5(s[0], s[5], s[10], s[15], s[20]);
        const WORD c1 = XOR5(s[1], s[6], s[11], s[16], s[21]);
        const WORD c2 = XOR5(s[2], s[7], s[12], s[17], s[22]);
        const WORD c3 = XOR5(s[3], s[8], s[13], s[18], s[23]);
        const WORD c4 = XOR5(s[4], s[9], s[14], s[19], s[24]);
        const WORD r0 = ROTATE(c0, 1), r1 = ROTATE(c1, 1), r2 = ROTATE(c2, 1), r3 = ROTATE(c3, 1), r4 = ROTATE(c4, 1);
#define THETA0(a) XOR3(a, c4, r1)
#define THETA1(a) XOR3(a, c0, r2)
#define THETA2(a) XOR3(a, c1, r3)
#define THETA3(a) XOR3(a, c2, r4)
#define THETA4(a) XOR3(a, c3, r0)
        const WORD b0 = THETA0(s[0]), b10 = ROTATE(THETA1(s[1]), 1), b20 = ROTATE(THETA2(s[2]), 62);
        const WORD b5 = ROTATE(THETA3(s[3]), 28), b15 = ROTATE(THETA4(s[4]), 27);
        const WORD b16 = ROTATE(THETA0(s[5]), 36), b1 = ROTATE(THETA1(s[6]), 44), b11 = ROTATE(THETA2(s[7]), 6);
        const WORD b21 = ROTATE(THETA3(s[8]), 55), b6 = ROTATE(THETA4(s[9]), 20);
        const WORD b7 = ROTATE(THETA0(s[10]), 3), b17 = ROTATE(THETA1(s[11]), 10), b2 = ROTATE(THETA2(s[12]), 43);
        const WORD b12 = ROTATE(THETA3(s[13]), 25), b22 = ROTATE(THETA4(s[14]), 39);
        const WORD b23 = ROTATE(THETA0(s[15]), 41), b8 = ROTATE(THETA1(s[16]), 45), b18 = ROTATE(THETA2(s[17]), 15);
        const WORD b3 = ROTATE(THETA3(s[18]), 21), b13 = ROTATE(THETA4(s[19]), 8);
        const WORD b14 = ROTATE(THETA0(s[20]), 18), b24 = ROTATE(THETA1(s[21]), 2), b9 = ROTATE(THETA2(s[22]), 61);
        const WORD b19 = ROTATE(THETA3(s[23]), 56), b4 = ROTATE(THETA4(s[24]), 14);
#undef THETA0
#undef THETA1
#undef THETA2
#undef THETA3
#undef THETA4
        CHI_ROW(0, b0, b1, b2, b3, b4);
        CHI_ROW(5, b5, b6, b7, b8, b9);
        CHI_ROW(10, b10, b11, b12, b13, b14);
        CHI_ROW(15, b15, b16, b17, b18, b19);
        CHI_ROW(20, b20, b21, b22, b23, b24);
        s[0] ^= ROUND_CONSTANTS[round];
    }
}

/* The hashes, 32 bytes each, of 1 to LANES messages. Each message is read whole before its hash is written, and of
 * messages of one block all are, so hashes may then lie where these messages were.
 */
TARGET static void NAME(hash_some)(const message *messages, size_t count, uint8_t *out)
{
    WORD s[25];
    uint64_t block[RATE_WORDS][LANES];
    uint8_t composed[RATE];
    size_t blocks = 0;

    memset(s, 0, sizeof s);
    memset(block, 0, sizeof block);
    for (size_t lane = 0; lane < count; lane++) {
        const size_t own = count_blocks(&messages[lane]);
        blocks = own > blocks ? own : blocks;
    }
    for (size_t index = 0; index < blocks; index++) {
        for (size_t lane = 0; lane < count; lane++) {
            if (index < count_blocks(&messages[lane])) {
                const uint8_t *bytes = take_block(&messages[lane], index, composed);
                for (size_t i = 0; i < RATE_WORDS; i++)
                    memcpy(&block[i][lane], bytes + 8 * i, 8);
            }
        }
        for (size_t i = 0; i < RATE_WORDS; i++) {
            WORD words;
            memcpy(&words, block[i], sizeof words);
            s[i] ^= words;
        }
        NAME(permute)(s);
        for (size_t lane = 0; lane < count; lane++) {
            if (index + 1 == count_blocks(&messages[lane])) {
                for (size_t i = 0; i < HASH_BYTES / 8; i++)
                    memcpy(out + HASH_BYTES * lane + 8 * i, (const uint8_t *)&s[i] + 8 * lane, 8);
            }
        }
    }
}

#undef WORD
#undef XOR5
#undef CHI_ROW
#undef LANES
#undef TARGET
#undef NAME
#undef XOR3
#undef CHI
#undef ROTATE
