// Keccak-256 as Ethereum uses it (padding 0x01, not SHA-3's 0x06), on 64-bit lanes. Source: keccak.team, "The Keccak
// reference" 3.0, sections 1.2 and 2. A hash takes a fraction of a millisecond; a proof needs some dozens.

const RATE_BYTES = 136;
const ROUNDS = 24;

// iota: one bit of an LFSR (x^8 + x^6 + x^5 + x^4 + 1) at each position 2^j - 1.
const ROUND_CONSTANTS = (() => {
  let register = 1;
  return Array.from({ length: ROUNDS }, () => {
    let constant = 0n;
    for (let j = 0; j < 7; j += 1) {
      if (register & 1) constant ^= 1n << BigInt(2 ** j - 1);
      register = register & 0x80 ? ((register << 1) ^ 0x171) & 0xff : register << 1;
    }
    return constant;
  });
})();

// rho and pi: the walk over the lanes, each step [to, rotation].
const WALK = (() => {
  let [x, y] = [1, 0];
  return Array.from({ length: 24 }, (_, t) => {
    [x, y] = [y, (2 * x + 3 * y) % 5];
    return [x + 5 * y, BigInt((((t + 1) * (t + 2)) / 2) % 64)];
  });
})();

const rotate = (lane, count) => BigInt.asUintN(64, (lane << count) | (lane >> (64n - count)));

function permute(lanes) {
  const row = new BigUint64Array(5);
  for (let round = 0; round < ROUNDS; round += 1) {
    for (let x = 0; x < 5; x += 1) {
      row[x] = lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20];
    }
    for (let i = 0; i < 25; i += 1) lanes[i] ^= row[(i + 4) % 5] ^ rotate(row[(i + 1) % 5], 1n);
    let carried = lanes[1];
    for (const [to, count] of WALK) [lanes[to], carried] = [rotate(carried, count), lanes[to]];
    for (let y = 0; y < 25; y += 5) {
      row.set(lanes.subarray(y, y + 5));
      for (let x = 0; x < 5; x += 1) lanes[y + x] = row[x] ^ (~row[(x + 1) % 5] & row[(x + 2) % 5]);
    }
    lanes[0] ^= ROUND_CONSTANTS[round];
  }
}

/** The 32-byte hash of a Uint8Array. */
export function keccak256(message) {
  const padded = new Uint8Array((Math.floor(message.length / RATE_BYTES) + 1) * RATE_BYTES);
  padded.set(message);
  padded[message.length] = 0x01;
  padded[padded.length - 1] |= 0x80;
  const view = new DataView(padded.buffer);
  const lanes = new BigUint64Array(25);
  for (let offset = 0; offset < padded.length; offset += RATE_BYTES) {
    for (let i = 0; i < RATE_BYTES / 8; i += 1) lanes[i] ^= view.getBigUint64(offset + 8 * i, true);
    permute(lanes);
  }
  const digest = new DataView(new ArrayBuffer(32));
  for (let i = 0; i < 4; i += 1) digest.setBigUint64(8 * i, lanes[i], true);
  return new Uint8Array(digest.buffer);
}
