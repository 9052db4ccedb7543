// Canonical msgpack of values by their EIP-712 types: what the log, receipts and carried payloads hold.

import { Encoder, decode } from "@msgpack/msgpack";
import { type Hex, type TypedDataParameter, bytesToHex, hexToBytes, isHex, numberToHex } from "viem";
import { BadAnswer, UsageError } from "./errors.js";

/** Struct types by name, as in the `types` of EIP-712. */
export type Types = Readonly<Record<string, readonly TypedDataParameter[]>>;

const WIDE_BITS = 64;
/** Integers of viem's that are numbers rather than bigints. */
const NARROW_BITS = 48;
const encoder = new Encoder({ useBigInt64: true });

/** Shortest forms; a number up to 2^53 - 1 is written as such, larger ones as 64-bit integers. */
export function pack(value: unknown): Hex {
  return bytesToHex(encoder.encode(value));
}

/** The value of a struct's bytes, by name. Throws `BadAnswer` for bytes that are none. */
export function unpackStruct(data: Hex, name: string, types: Types): Record<string, unknown> {
  let value: unknown;
  try {
    value = decode(hexToBytes(data), { useBigInt64: true });
  } catch (error) {
    throw new BadAnswer(`not a valid ${name}: ${(error as Error).message}`);
  }
  return raiseStruct(value, name, types);
}

/** The members of a struct as `pack` takes them, in their declared order. */
export function lowerStruct(value: Readonly<Record<string, unknown>>, members: readonly TypedDataParameter[], types: Types): unknown[] {
  return members.map(({ name, type }) => lower(value[name], type, types));
}

function lower(value: unknown, type: string, types: Types): unknown {
  const list = itemOf(type);
  if (list !== undefined) return (value as readonly unknown[]).map((item) => lower(item, list, types));
  const members = types[type];
  if (members !== undefined) return lowerStruct(value as Record<string, unknown>, members, types);
  const bits = bitsOf(type);
  if (bits !== undefined) {
    const integer = BigInt(value as bigint);
    if (bits > WIDE_BITS) return hexToBytes(numberToHex(BigInt.asUintN(256, integer), { size: 32 }));
    return shorten(integer);
  }
  if (type === "string" || type === "bool") return value;
  if (!isHex(value)) throw new UsageError(`a value of the type ${type} is 0x and hex digits`);
  return hexToBytes(value);
}

function raiseStruct(value: unknown, name: string, types: Types): Record<string, unknown> {
  const members = types[name];
  if (members === undefined || !Array.isArray(value) || value.length !== members.length)
    throw new BadAnswer(`not a valid ${name}`);
  return Object.fromEntries(members.map((member, index) => [member.name, raise(value[index], member.type, types)]));
}

function raise(value: unknown, type: string, types: Types): unknown {
  const list = itemOf(type);
  if (list !== undefined) {
    if (!Array.isArray(value)) throw new BadAnswer(`not a valid ${type}`);
    return value.map((item) => raise(item, list, types));
  }
  if (type in types) return raiseStruct(value, type, types);
  const bits = bitsOf(type);
  if (bits === undefined) return value instanceof Uint8Array ? bytesToHex(value) : value;
  const wide = value instanceof Uint8Array ? BigInt(bytesToHex(value)) : BigInt(value as number | bigint);
  const integer = type.startsWith("int") ? BigInt.asIntN(256, wide) : wide;
  return bits <= NARROW_BITS ? Number(integer) : integer;
}

/** As the encoder writes shortest: it gives each bigint nine bytes. */
export function shorten(value: bigint): number | bigint {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) && value >= -BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
}

const itemOf = (type: string): string | undefined => /^(.*)\[\d*\]$/.exec(type)?.[1];

function bitsOf(type: string): number | undefined {
  const bits = /^u?int(\d+)$/.exec(type)?.[1];
  return bits === undefined ? undefined : Number(bits);
}
