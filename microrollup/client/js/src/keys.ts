// The bytes of a map's key in the tree: the key's own bytes, text as UTF-8, integers in 32 bytes, one after the other.

import { type Hex, concatHex, isHex, numberToHex, size, stringToHex } from "viem";
import { UsageError } from "./errors.js";

/** A component of a key: bytes as hex, an integer, or text. */
export type KeyPart = Hex | bigint | number | string;
/** A key; of several components as an array; none for a scalar field. */
export type Key = KeyPart | readonly KeyPart[] | null;

const FIXED: Readonly<Record<string, number>> = { address: 20 };

/** The bytes under which a field of that key type keeps a key (`keyType` as in `rollup_config`). Throws `UsageError`. */
export function encodeKey(keyType: string | null, key: Key): Hex {
  if (keyType === null) {
    if (key !== null) throw new UsageError("a scalar field has no keys");
    return "0x";
  }
  const types = keyType.startsWith("(") ? keyType.slice(1, -1).split(",") : [keyType];
  const parts = Array.isArray(key) ? (key as readonly KeyPart[]) : [key as KeyPart];
  if (types.length !== parts.length) throw new UsageError(`a key of ${keyType} has ${types.length} components`);
  return concatHex(types.map((type, index) => encodePart(type.trim(), parts[index] as KeyPart)));
}

function encodePart(type: string, part: KeyPart): Hex {
  if (type === "string") return stringToHex(String(part));
  const bits = /^uint(\d+)$/.exec(type)?.[1];
  if (bits !== undefined) return encodeInteger(Number(bits), part);
  const wanted = FIXED[type] ?? /^bytes(\d+)$/.exec(type)?.[1];
  if (wanted === undefined && type !== "bytes") throw new UsageError(`keys of the type ${type} are not known here`);
  if (!isHex(part)) throw new UsageError(`a key of the type ${type} is 0x and hex digits`);
  const hex = part.toLowerCase() as Hex;
  if (hex.length % 2 !== 0 || (wanted !== undefined && size(hex) !== Number(wanted)))
    throw new UsageError(`a key of the type ${type} has ${wanted ?? "whole"} bytes`);
  return hex;
}

function encodeInteger(bits: number, part: KeyPart): Hex {
  if (typeof part === "number" && !Number.isSafeInteger(part))
    throw new UsageError(`${part} cannot be a key: write integers from 2^53 on as bigint`);
  let value: bigint;
  try {
    value = BigInt(part);
  } catch {
    throw new UsageError(`${part} is not an integer`);
  }
  if (value < 0n || value >> BigInt(bits) !== 0n) throw new UsageError(`${value} is not a uint${bits}`);
  return numberToHex(value, { size: 32 });
}
