// Bytes and their 0x-hex form, which exists only at the edge.

const HEX = /^0x(?:[0-9a-f]{2})*$/i;

/** Whether a value is 0x and pairs of hex digits; of exactly `size` bytes if that is given. */
export function isHex(value, size) {
  return typeof value === "string" && HEX.test(value) && (size === undefined || value.length === 2 + 2 * size);
}

/** The bytes of a hex text. Throws a TypeError for anything else. */
export function fromHex(text, size) {
  if (!isHex(text, size)) throw new TypeError(size === undefined ? "not a hex text" : `not ${size} bytes as hex`);
  const bytes = new Uint8Array((text.length - 2) / 2);
  for (let i = 0; i < bytes.length; i += 1) bytes[i] = parseInt(text.slice(2 + 2 * i, 4 + 2 * i), 16);
  return bytes;
}

export function toHex(bytes) {
  return `0x${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

export function concat(...parts) {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

/** A non-negative integer (number, decimal text or BigInt) as big-endian bytes. Throws a RangeError if too large. */
export function toBytes(value, size) {
  let rest = BigInt(value);
  const bytes = new Uint8Array(size);
  for (let i = size - 1; i >= 0; i -= 1) {
    bytes[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  if (rest !== 0n) throw new RangeError(`${value} does not fit into ${size} bytes`);
  return bytes;
}
