// EIP-712 ("Typed structured data hashing and signing"): the digest that a wallet computes of the same typed data, so
// that a passkey can sign it. Values come as JSON has them: integers as decimal texts, bytes as hex.

import { concat, fromHex, toBytes } from "./bytes.js";
import { keccak256 } from "./keccak.js";

const WORD = 32;
const encodeText = (text) => new TextEncoder().encode(text);

/** The domain's type, of the members that a rollup's domain has. */
export const DOMAIN_TYPE = [
  { name: "name", type: "string" },
  { name: "version", type: "string" },
  { name: "chainId", type: "uint256" },
  { name: "verifyingContract", type: "address" },
];

/** keccak256(0x1901 ‖ domain ‖ message), 32 bytes. Throws a TypeError or RangeError for a value not of its type. */
export function computeDigest({ domain, types, primaryType, message }) {
  const all = { ...types, EIP712Domain: DOMAIN_TYPE };
  return keccak256(
    concat(fromHex("0x1901"), hashStruct("EIP712Domain", domain, all), hashStruct(primaryType, message, all)),
  );
}

function hashStruct(name, value, types) {
  const members = types[name].map((member) => encodeValue(member.type, value[member.name], types));
  return keccak256(concat(keccak256(encodeText(encodeType(name, types))), ...members));
}

/** The type and those that it mentions, these in the order of their names. */
function encodeType(name, types) {
  const mentioned = new Set();
  const visit = (each) => {
    if (mentioned.has(each) || !Object.hasOwn(types, each)) return;
    mentioned.add(each);
    for (const member of types[each]) visit(member.type.split("[")[0]);
  };
  visit(name);
  mentioned.delete(name);
  return [name, ...[...mentioned].sort()]
    .map((each) => `${each}(${types[each].map((member) => `${member.type} ${member.name}`).join(",")})`)
    .join("");
}

function encodeValue(type, value, types) {
  const array = /^(.*)\[(\d*)\]$/.exec(type);
  if (array) {
    if (!Array.isArray(value) || (array[2] && value.length !== Number(array[2]))) throw new TypeError(`not ${type}`);
    return keccak256(concat(...value.map((item) => encodeValue(array[1], item, types))));
  }
  if (Object.hasOwn(types, type)) return hashStruct(type, value, types);
  if (type === "string") return keccak256(encodeText(value));
  if (type === "bytes") return keccak256(fromHex(value));
  if (type === "bool") return toBytes(value ? 1 : 0, WORD);
  if (type === "address") return concat(new Uint8Array(WORD - 20), fromHex(value, 20));
  if (type.startsWith("uint")) return concat(new Uint8Array(WORD - sizeOf(type)), toBytes(value, sizeOf(type)));
  if (type.startsWith("int")) return encodeSigned(BigInt(value), 8 * sizeOf(type));
  if (type.startsWith("bytes")) {
    const size = Number(type.slice(5));
    return concat(fromHex(value, size), new Uint8Array(WORD - size));
  }
  throw new TypeError(`${type} cannot be signed here`);
}

function encodeSigned(value, bits) {
  if (BigInt.asIntN(bits, value) !== value) throw new RangeError(`${value} does not fit into ${bits} bits`);
  return toBytes(BigInt.asUintN(256, value), WORD);
}

/** Bytes of an integer type: 32 of a bare `uint` or `int`. */
function sizeOf(type) {
  return Number(/\d+$/.exec(type)?.[0] ?? 256) / 8;
}
