// Passkeys as signers: an assertion over the action's digest, in the rollup's scheme 2.

import { type Address, type Hex, concatHex, hashTypedData, hexToBigInt, hexToBytes, keccak256, sha256, size, slice, stringToHex, toHex } from "viem"; // prettier-ignore
import type { WebAuthnAccount } from "viem/account-abstraction";
import { UsageError } from "./errors.js";
import type { Signer } from "./signing.js";

const SCHEME: Hex = "0x02";
const POINT_BYTES = 64;
const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

const MAX_TRIES = 3;
const FLAGS_AT = 32;
/** The user was there (0x01) and was verified (0x04). */
const VERIFIED = 0x05;

/** The sender of a passkey: the last 20 bytes of keccak256(0x02 || x || y). `publicKey` is `x || y`, 64 bytes. */
export function computePasskeySender(publicKey: Hex): Address {
  if (size(publicKey) !== POINT_BYTES) throw new UsageError("a passkey's public key is x and y, 64 bytes");
  return slice(keccak256(concatHex([SCHEME, publicKey])), 12);
}

/** A signer over viem's `toWebAuthnAccount`. The user is asked for each action. */
export function toPasskeySigner(account: WebAuthnAccount): Signer {
  return {
    address: computePasskeySender(account.publicKey),
    async signTypedData(typedData) {
      const { signature, webauthn } = await askPasskey(account, hashTypedData(typedData));
      const parts = [webauthn.authenticatorData, stringToHex(webauthn.clientDataJSON)];
      const measured = parts.map((part) => concatHex([toHex(size(part), { size: 2 }), part]));
      return concatHex([SCHEME, account.publicKey, slice(signature, 0, 32), lowerS(slice(signature, 32, 64)), ...measured]);
    },
  };
}

/**
 * A passkey's assertion over a hash, verified: viem 2 reads an `r` of fewer than 32 bytes wrongly, as one in 256 is, and nobody
 * takes such a signature. The user is asked again then, twice at most. Throws `UsageError` if it is never the account's, and
 * at once for one that no rollup and no account takes: over something else, or of a user who was not verified.
 */
export async function askPasskey(account: WebAuthnAccount, hash: Hex): ReturnType<WebAuthnAccount["sign"]> {
  const key = await importKey(account.publicKey);
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const found = await account.sign({ hash });
    const { authenticatorData, clientDataJSON } = found.webauthn;
    const signed = exact(concatHex([authenticatorData, sha256(stringToHex(clientDataJSON))]));
    const scalars = exact(slice(found.signature, 0, 64));
    if (await crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, key, scalars, signed)) {
      checkAssertion(authenticatorData, clientDataJSON, hash);
      return found;
    }
  }
  throw new UsageError("the passkey's signature is not one of the account's public key");
}

async function importKey(publicKey: Hex): Promise<CryptoKey> {
  const point = exact(concatHex(["0x04", publicKey]));
  try {
    return await crypto.subtle.importKey("raw", point, { name: "ECDSA", namedCurve: "P-256" }, false, ["verify"]);
  } catch (cause) {
    throw new UsageError("the account's public key is not a point of P-256, x and y of 32 bytes each", { cause });
  }
}

/** What scheme 2 and the account's validator look at. Where the assertion was made (`origin`) neither does. */
function checkAssertion(authenticatorData: Hex, clientDataJSON: string, hash: Hex): void {
  const { type, challenge } = readObject(clientDataJSON);
  if (type !== "webauthn.get" || challenge !== toBase64Url(hash))
    throw new UsageError("the passkey has signed something else than it was asked for");
  if (size(authenticatorData) <= FLAGS_AT || (hexToBytes(authenticatorData)[FLAGS_AT]! & VERIFIED) !== VERIFIED)
    throw new UsageError("the passkey has signed for a user who was not there or not verified: ask with userVerification");
}

function readObject(text: string): Record<string, unknown> {
  try {
    return { ...(JSON.parse(text) as object | null) };
  } catch {
    return {};
  }
}

const toBase64Url = (hash: Hex): string =>
  btoa(String.fromCharCode(...hexToBytes(hash))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");

const exact = (value: Hex): Uint8Array<ArrayBuffer> => new Uint8Array(hexToBytes(value));

/** Of the two s of one assertion the low one is taken. */
function lowerS(s: Hex): Hex {
  const value = hexToBigInt(s);
  return toHex(value > P256_ORDER / 2n ? P256_ORDER - value : value, { size: 32 });
}
