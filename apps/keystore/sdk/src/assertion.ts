// A passkey's assertion as its validator takes it.

import { type Hex, concatHex, hexToBytes, slice, stringToHex, toHex } from "viem";
import { UsageError } from "../../../../microrollup/client/js/src/index.js";

export const HALF_P256_ORDER = 0x7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8n;
const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/**
 * Solady's compact form: `length(2) || authenticatorData || clientDataJSON || challengeIndex(2) || typeIndex(2) || r || s`.
 * Of the two s of an assertion the low one is taken.
 */
export function encodeAssertion(authenticatorData: Hex, clientDataJSON: string, scalars: Hex): Hex {
  const [challenge, type] = [clientDataJSON.indexOf('"challenge":"'), clientDataJSON.indexOf('"type":"')];
  if (challenge < 0 || type < 0) throw new UsageError("clientDataJSON names no challenge or no type as browsers write them");
  const s = BigInt(slice(scalars, 32, 64));
  return concatHex([
    toHex(hexToBytes(authenticatorData).length, { size: 2 }),
    authenticatorData,
    stringToHex(clientDataJSON),
    toHex(challenge, { size: 2 }),
    toHex(type, { size: 2 }),
    slice(scalars, 0, 32),
    toHex(s > HALF_P256_ORDER ? P256_ORDER - s : s, { size: 32 }),
  ]);
}

/** The challenge in clientDataJSON for 32 bytes: base64url without padding, 43 characters. */
export function encodeChallenge(digest: Hex): string {
  const encoded = btoa(String.fromCharCode(...hexToBytes(digest)));
  return encoded.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
