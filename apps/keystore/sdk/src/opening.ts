// How an account is shown what the keystore says about its key, and the bytes that it takes as a signature:
//
//     mode 1 | codeHash 32 | config length 2 | config | signature length 2 | validator's signature | opening

import { type Hex, concatHex, keccak256, size, toHex } from "viem";
import { type ProvenValue, ProofInvalid, UsageError } from "../../../../microrollup/client/js/src/index.js";
import { type Configuration, computeAccountKey, computeData } from "./configuration.js";

export const MODE_INCLUSION = 0;
export const MODE_EXCLUSION = 1;
export const MODE_CACHED = 2;
export const MODE_REMEMBER = 0x80;
const MAX_PART_BYTES = 0xffff;
const SIDE_BYTES = 8;

/** What leads from a root to a configuration. */
export interface Opening {
  readonly mode: number;
  readonly data: Hex;
  /** The state root that the account must hold a copy of; none for what is remembered. */
  readonly root: Hex | null;
}

/** The account remembers the configuration from an earlier operation. */
export const CACHED: Opening = { mode: MODE_CACHED, data: "0x", root: null };

/** Who an account is before anything is registered: the vk may change it, the salt tells accounts apart. */
export interface Identity {
  readonly key: Hex;
  readonly vk: Hex;
  readonly salt: Hex;
}

/**
 * Whichever opening a proof of the account's key allows: that the keystore holds the configuration, or that it holds
 * nothing and the key commits to it. Throws `ProofInvalid` if the keystore holds something else.
 */
export function openShown(proven: ProvenValue, configuration: Configuration, { key, vk, salt }: Identity): Opening {
  const vkHash = keccak256(vk);
  const { stateRoot: root, proof } = proven;
  if (proven.exists) {
    const expected = concatHex([keccak256(computeData(configuration)), vkHash]);
    if (proven.value !== expected) throw new ProofInvalid("the keystore holds another configuration or vk at the key");
    return { mode: MODE_INCLUSION, data: concatHex([vkHash, encodeInclusion(proof)]), root };
  }
  if (computeAccountKey(configuration, vk, salt) !== key)
    throw new ProofInvalid("the key was never registered, and this is not its first configuration, vk and salt");
  return { mode: MODE_EXCLUSION, data: concatHex([salt, vkHash, encodeExclusion(proof)]), root };
}

/** The same, and the account remembers it: later operations need no proof while the root is good. */
export function remember(opening: Opening): Opening {
  if (opening.mode === MODE_CACHED) throw new UsageError("only what is proven can be remembered");
  return { ...opening, mode: opening.mode | MODE_REMEMBER };
}

/** What the account takes as a signature; `signature` is the validator's. */
export function encodeSignature({ codeHash, config }: Configuration, { mode, data }: Opening, signature: Hex): Hex {
  return concatHex([toHex(mode, { size: 1 }), codeHash, encodePart(config), encodePart(signature), data]);
}

function encodePart(part: Hex): Hex {
  if (size(part) > MAX_PART_BYTES) throw new UsageError(`configuration and signature have at most ${MAX_PART_BYTES} bytes`);
  return concatHex([toHex(size(part), { size: 2 }), part]);
}

/** `isLeft 8 | nextPrefix 1 | nextKey 32 | siblings`. */
export function encodeInclusion({ leaf, isLeft, siblings }: ProvenValue["proof"]): Hex {
  return concatHex([encodeSides(isLeft), toHex(leaf.nextPrefix, { size: 1 }), leaf.nextKey, ...siblings]);
}

/** `isLeft 8 | prefix 1 | key 32 | nextPrefix 1 | nextKey 32 | valueHash 32 | siblings`. */
export function encodeExclusion({ leaf, isLeft, siblings }: ProvenValue["proof"]): Hex {
  const [prefix, nextPrefix] = [leaf.prefix, leaf.nextPrefix].map((flag) => toHex(flag, { size: 1 })) as [Hex, Hex];
  return concatHex([encodeSides(isLeft), prefix, leaf.key, nextPrefix, leaf.nextKey, leaf.valueHash, ...siblings]);
}

const encodeSides = (isLeft: number | string): Hex => toHex(BigInt(isLeft), { size: SIDE_BYTES });
