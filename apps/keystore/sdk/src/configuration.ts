// What decides over an account: a validator, and the configuration that it reads.

import { type Address, type Hex, concatHex, getContractAddress, isAddressEqual, keccak256, size, toHex, zeroAddress } from "viem";
import { UsageError } from "../../../../microrollup/client/js/src/index.js";
import { codeHashes } from "./generated.js";

/** The deterministic deployment proxy, at one address on every chain. */
export const DEPLOYER: Address = "0x4e59b44847b379578588920cA78FbF26c0B4956C";
/** ERC-4337's EntryPoint 0.8 on every chain. */
export const ENTRY_POINT: Address = "0x4337084D9E255Ff0702461CF8895CE9E3b5Ff108";

const POINT_BYTES = 64;
const MAX_OWNERS = 255;
const NO_SALT = toHex(0, { size: 32 });

/** A validator by the hash of its creation code, and what it reads. */
export interface Configuration {
  readonly codeHash: Hex;
  readonly config: Hex;
}

/** The 64 bytes that the keystore holds: `codeHash || keccak256(config)`. */
export function computeData({ codeHash, config }: Configuration): Hex {
  return concatHex([codeHash, keccak256(config)]);
}

/** One Ethereum key. */
export function configureEcdsa(owner: Address): Configuration {
  checkOwner(owner);
  return { codeHash: codeHashes.ecdsa, config: owner.toLowerCase() as Hex };
}

/** `threshold` of several Ethereum keys, in any order. */
export function configureMultisig(threshold: number, owners: readonly Address[]): Configuration {
  owners.forEach(checkOwner);
  const sorted = owners.map((owner) => owner.toLowerCase() as Hex).sort();
  if (new Set(sorted).size !== sorted.length) throw new UsageError("an owner comes twice");
  if (!Number.isInteger(threshold) || threshold < 1 || threshold > sorted.length || sorted.length > MAX_OWNERS)
    throw new UsageError(`${threshold} of ${sorted.length} owners cannot be; there are at most ${MAX_OWNERS} owners`);
  return { codeHash: codeHashes.multisig, config: concatHex([toHex(threshold, { size: 1 }), ...sorted]) };
}

export interface PrecompileOptions {
  /**
   * By default the validator asks address 0x100 (EIP-7951). With `false` it never does, for bundlers that take that for an
   * address without code (ERC-7562, OP-041): 230,000 gas instead of 9,000. A configuration holds on all chains of the key.
   */
  readonly precompile?: boolean;
}

/** One P-256 key that signs hashes themselves, by its point `x || y`. */
export function configureP256(point: Hex, { precompile = true }: PrecompileOptions = {}): Configuration {
  return { codeHash: precompile ? codeHashes.p256 : codeHashes.p256Solidity, config: checkPoint(point) };
}

/** One passkey, by its point `x || y`. */
export function configureWebAuthn(point: Hex, { precompile = true }: PrecompileOptions = {}): Configuration {
  return { codeHash: precompile ? codeHashes.webauthn : codeHashes.webauthnSolidity, config: checkPoint(point) };
}

/** An account's place on the keystore: `keccak256(salt || keccak256(data) || keccak256(vk))` of its first data and vk. */
export function computeAccountKey(first: Configuration, vk: Hex, salt: Hex): Hex {
  return keccak256(concatHex([salt, keccak256(computeData(first)), keccak256(vk)]));
}

/** Where accounts look for a validator. */
export function computeValidatorAddress(codeHash: Hex): Address {
  return getContractAddress({ opcode: "CREATE2", from: DEPLOYER, salt: NO_SALT, bytecodeHash: codeHash });
}

const CLONE_HEAD: Hex = "0x61004d3d81600a3d39f3363d3d373d3d3d363d73";
const CLONE_TAIL: Hex = "0x5af43d82803e903d91602b57fd5bf3";

/** The contract that a factory's accounts are clones of. */
export function computeImplementationAddress(factory: Address): Address {
  return getContractAddress({ opcode: "CREATE", from: factory, nonce: 1n });
}

/** The account of a key, deployed or not: the same on every chain that has the factory at the same address. */
export function computeAccountAddress(factory: Address, key: Hex): Address {
  const bytecode = concatHex([CLONE_HEAD, computeImplementationAddress(factory), CLONE_TAIL, key]);
  return getContractAddress({ opcode: "CREATE2", from: factory, salt: NO_SALT, bytecode });
}

/** An account that nobody can sign for is lost, and no contract can tell. */
function checkOwner(owner: Address): void {
  if (isAddressEqual(owner, zeroAddress)) throw new UsageError("nobody has the key of the zero address");
}

function checkPoint(point: Hex): Hex {
  if (size(point) !== POINT_BYTES) throw new UsageError(`a point is x and y, 64 bytes, not ${size(point)}`);
  return point;
}
