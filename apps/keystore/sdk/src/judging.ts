// Why a validator says no: what it was given is read as it reads it, and it is asked about other hashes.

import { type Hex, concatHex, hashMessage, hexToNumber, hexToString, recoverAddress, size, slice, toHex } from "viem";
import { HALF_P256_ORDER, encodeChallenge } from "./assertion.js";
import type { Configuration } from "./configuration.js";
import { codeHashes } from "./generated.js";

/** Why a signature is not taken, and what to do. */
export interface Explanation {
  /** A name of `CAUSES`. */
  readonly cause: Cause;
  /** The same in words, with what was found. */
  readonly what: string;
  /** What to do next. */
  readonly remedy: string;
}

/** Every cause by its name, for wallets to translate, and `taken` for what is not refused: those of Python's `explain`. */
export const CAUSES = {
  taken: "the account takes the signature",
  no_account: "the sender is not an account of the keystore, and its initCode makes none",
  malformed: "the bytes are cut off, or too long",
  unknown_mode: "the first byte names no mode",
  not_remembered: "mode 2, but the account remembers another configuration or none",
  not_first_configuration: "mode 1, but the account's key does not commit to this configuration, vk and salt",
  malformed_proof: "the proof leads to no root",
  not_pushed: "the chain knows the proof's root, the account has not copied it yet",
  replaced: "the account has let go of the proof's root: newer ones came",
  unknown_root: "the chain does not know the proof's root",
  other_configuration: "the keystore holds another configuration or vk than the proof is made for",
  other_operation: "the intent names another operation, account or chain, or was made before its owner changed",
  other_delegate: "no delegate of this chain is so, or it was made before its owner changed",
  no_validator: "nothing is deployed where codeHash puts the validator",
  signature_form: "the validator's signature has not its form: length, high s, v, a cut assertion",
  signed_as_text: "the hash was signed as a text (EIP-191)",
  other_chain: "it was signed for another chain or entry point",
  signer_order: "the multisig's signers do not ascend, or one comes twice",
  wrong_key: "a key signed that the configuration does not name, or something else was signed",
  other_challenge: "the passkey answered another challenge: the operation was changed after it was signed",
  user_not_verified: "the passkey did not verify its user",
} as const;
export type Cause = keyof typeof CAUSES;

const ECDSA_BYTES = 65;
const POINT_BYTES = 64;
const HALF_SECP256K1_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0n;
const SECP256K1_ORDER = 2n * HALF_SECP256K1_ORDER + 1n;
const TAIL_BYTES = 68;
const FLAGS_AT = 32;
const USER_VERIFIED = 4;
const SIGN_AGAIN = "sign this operation, unchanged, with what is configured";

const isWebAuthn = (hash: Hex): boolean => hash === codeHashes.webauthn || hash === codeHashes.webauthnSolidity;
const isP256 = (hash: Hex): boolean => hash === codeHashes.p256 || hash === codeHashes.p256Solidity;

/**
 * Why the validator of an opened configuration says no. `hashes` are those of the operation by chain, `ask` says whether the
 * validator takes the signature over a hash.
 */
export async function judgeSignature(
  configuration: Configuration,
  signature: Hex,
  chainId: number,
  hashes: ReadonlyMap<number, Hex>,
  ask: (hash: Hex) => Promise<boolean>,
): Promise<Explanation> {
  const digest = hashes.get(chainId)!;
  if (await ask(digest))
    return { cause: "taken", what: "the validator takes the signature", remedy: "nothing; look at the times (AA22)" };
  const form = findWrongForm(configuration, signature);
  if (form !== "") return { cause: "signature_form", what: form, remedy: "encode what the key has signed anew" };
  if (await ask(hashMessage({ raw: digest })))
    return { cause: "signed_as_text", what: "the hash was signed as a text (EIP-191)", remedy: "sign the 32 bytes themselves" };
  for (const [other, hash] of hashes)
    if (other !== chainId && (await ask(hash)))
      return { cause: "other_chain", what: `it is signed for chain ${other}, not ${chainId}`, remedy: "sign it for this chain" };
  const { codeHash } = configuration;
  if (isWebAuthn(codeHash)) return judgeAssertion(signature, digest);
  if (codeHash === codeHashes.ecdsa || codeHash === codeHashes.multisig) return judgeSigners(configuration, signature, digest);
  return { cause: "wrong_key", what: "another key signed, or another operation", remedy: SIGN_AGAIN };
}

/** What about its form the validator does not take; empty if it may be right. */
function findWrongForm({ codeHash, config }: Configuration, signature: Hex): string {
  if (codeHash === codeHashes.ecdsa) return findWrongEcdsa(signature, 1);
  if (codeHash === codeHashes.multisig) return findWrongEcdsa(signature, size(config) > 0 ? Number(config.slice(0, 4)) : 0);
  if (isP256(codeHash) && size(signature) !== POINT_BYTES) return `a P-256 signature has 64 bytes, not ${size(signature)}`;
  if (isWebAuthn(codeHash) && readAssertion(signature) === null) return "the assertion is cut off";
  if ((isP256(codeHash) || isWebAuthn(codeHash)) && BigInt(slice(signature, -32)) > HALF_P256_ORDER)
    return "s is above half of the order";
  return "";
}

function findWrongEcdsa(signature: Hex, count: number): string {
  if (size(signature) !== ECDSA_BYTES * count)
    return `${count} signatures of 65 bytes each are due, not ${size(signature)} bytes`;
  for (const [number, part] of split(signature).entries()) {
    const [r, s, v] = [BigInt(slice(part, 0, 32)), BigInt(slice(part, 32, 64)), hexToNumber(slice(part, 64))];
    if (v !== 27 && v !== 28) return `signature ${number} ends in v = ${v}, not 27 or 28`;
    if (s > HALF_SECP256K1_ORDER) return `signature ${number}: s is above half of the order`;
    if (r === 0n || s === 0n || r >= SECP256K1_ORDER) return `signature ${number}: r or s is out of range`;
  }
  return "";
}

function split(signature: Hex): Hex[] {
  const count = size(signature) / ECDSA_BYTES;
  return Array.from({ length: count }, (_, index) => slice(signature, index * ECDSA_BYTES, (index + 1) * ECDSA_BYTES));
}

/** Whose signatures they are. */
async function judgeSigners({ codeHash, config }: Configuration, signature: Hex, digest: Hex): Promise<Explanation> {
  const owners = codeHash === codeHashes.multisig ? config.slice(4) : config.slice(2);
  const known = new Set((owners.match(/.{40}/g) ?? []).map((owner) => `0x${owner}`.toLowerCase()));
  const signers = await Promise.all(split(signature).map((part) => recover(digest, part)));
  const foreign = signers.filter((signer) => !known.has(signer));
  if (foreign.length > 0) {
    const what = `${foreign.join(", ")} signed, of whom the configuration does not know; or another operation was signed`;
    return { cause: "wrong_key", what, remedy: SIGN_AGAIN };
  }
  const what = "the signers do not ascend by address, or one comes twice";
  return { cause: "signer_order", what, remedy: "sort them: toMultisigSigner does" };
}

async function recover(hash: Hex, signature: Hex): Promise<string> {
  try {
    return (await recoverAddress({ hash, signature })).toLowerCase();
  } catch {
    return toHex(0, { size: 20 }); // r is no point's
  }
}

/** AuthenticatorData and clientDataJSON; null if it is cut off. */
function readAssertion(signature: Hex): { readonly data: Hex; readonly clientData: string } | null {
  const end = size(signature) - TAIL_BYTES;
  if (end < 2) return null;
  const start = 2 + hexToNumber(slice(signature, 0, 2));
  if (start > end || start - 2 <= FLAGS_AT + 4) return null;
  const clientData = start === end ? "" : hexToString(slice(signature, start, end));
  return { data: slice(signature, 2, start), clientData };
}

function judgeAssertion(signature: Hex, digest: Hex): Explanation {
  const { data, clientData } = readAssertion(signature)!;
  if (!clientData.includes(`"challenge":"${encodeChallenge(digest)}"`)) {
    const what = "the passkey answered another challenge than this operation's hash";
    return { cause: "other_challenge", what, remedy: "ask it again: limits and fees are signed too" };
  }
  if ((hexToNumber(slice(data, FLAGS_AT, FLAGS_AT + 1)) & USER_VERIFIED) === 0) {
    const what = "the passkey did not verify its user";
    return { cause: "user_not_verified", what, remedy: 'ask with userVerification "required"' };
  }
  return { cause: "wrong_key", what: "another passkey signed", remedy: SIGN_AGAIN };
}
