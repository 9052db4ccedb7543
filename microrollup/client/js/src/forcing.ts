// Past the operator: payloads for the queue of the rollup's inbox on L1. Anybody sends them as
//
//     inbox.force(payload)          forceAbi; at most 8,192 bytes; the transaction's sender pays the gas

import { type Hex, concatHex, encodeAbiParameters, hexToBytes, keccak256, parseAbi, size, stringToHex, toHex } from "viem";
import type { ActionOf } from "./app.js";
import { type Types, lowerStruct, pack, shorten } from "./canonical.js";
import { type SignedAction, UsageError } from "./errors.js";

/** What of the inbox it takes to force. */
export const forceAbi = parseAbi(["function force(bytes payload) returns (uint256 index)"]);

const MAX_PAYLOAD_BYTES = 8_192;
const HIGH_V = 27;
const SECP256K1_BYTES = 65;

/** Payload `0x00`: an action of the L1 account that calls the inbox; no nonce, no signature. */
export function encodeForcedPayload(action: ActionOf, message: Readonly<Record<string, unknown>>): Hex {
  const types = action.types as Types;
  const members = membersOf(action);
  const parameters = members.map(({ name, type }) => ({ name, ...describe(type, types) }));
  const values = members.map(({ name }) => message[name]);
  const typeHash = keccak256(stringToHex(action.typeString));
  const encoded = encodeAbiParameters([{ type: "bytes32" }, ...parameters] as never, [typeHash, ...values] as never);
  return limit(concatHex(["0x00", encoded]));
}

/**
 * Payload `0x01`: a signed action that somebody carries. Sender and nonce are the signer's, so a passkey without an L1
 * account gets past a silent operator with a stranger's transaction.
 */
export function encodeCarriedPayload(action: ActionOf, signed: SignedAction): Hex {
  const members = lowerStruct(signed.message, membersOf(action), action.types as Types);
  const nonce = shorten(BigInt(signed.message["nonce"] as string));
  return limit(concatHex(["0x01", pack([signed.type, members, nonce, hexToBytes(canonicalize(signed.signature))])]));
}

/** Payload `0x02`: what comes in an envelope of the app's own. */
export function encodeEnvelopePayload(name: string, raw: Hex): Hex {
  const text = stringToHex(name);
  return limit(concatHex(["0x02", toHex(size(text), { size: 1 }), text, raw]));
}

const membersOf = (action: ActionOf) => (action.types as Types)[action.name]!.filter(({ name }) => name !== "nonce");

function limit(payload: Hex): Hex {
  if (size(payload) > MAX_PAYLOAD_BYTES) throw new UsageError(`${size(payload)} bytes: the inbox takes ${MAX_PAYLOAD_BYTES}`);
  return payload;
}

/** The form that the log stores: secp256k1 with the parity, 0 or 1, as its last byte. Other schemes have one form. */
function canonicalize(signature: Hex): Hex {
  if (size(signature) !== SECP256K1_BYTES) return signature;
  const bytes = hexToBytes(signature);
  const v = bytes[SECP256K1_BYTES - 1]!;
  bytes[SECP256K1_BYTES - 1] = v >= HIGH_V ? v - HIGH_V : v;
  return toHex(bytes);
}

/** An ABI parameter: structs as tuples. */
function describe(type: string, types: Types): { type: string; components?: unknown[] } {
  const [, base = type, suffix = ""] = /^(.*?)((?:\[\d*\])*)$/.exec(type) ?? [];
  const struct = types[base];
  if (struct === undefined) return { type };
  return { type: `tuple${suffix}`, components: struct.map((member) => ({ name: member.name, ...describe(member.type, types) })) };
}
