// Signatures to estimate with, to the byte those of Python's `stub.py`: well-formed, by nobody, and as dear to check as the
// true ones. Validators do all their work for such a signature before they say no.

import { type Hex, concatHex, size } from "viem";
import { UsageError } from "../../../../microrollup/client/js/src/index.js";
import type { Configuration } from "./configuration.js";
import { codeHashes } from "./generated.js";
import { encodeAssertion } from "./assertion.js";

/** Bytes of clientDataJSON that a passkey's stub has: more than browsers write for most origins. */
export const STUB_CLIENT_DATA_BYTES = 300;

/** r and s, in range on either curve; r is an abscissa of secp256k1, and r / s on P-256 has no window of zero bits. */
const SCALARS: Hex = concatHex(["0x81ba5d0bbb317b4bf6697f634081f3bf8cb9c970f7bb0b37c5d90c7750557580", `0x${"11".repeat(32)}`]);
const ECDSA: Hex = concatHex([SCALARS, "0x1b"]);
const AUTHENTICATOR_DATA: Hex = `0x${"71".repeat(32)}05${"71".repeat(4)}`;
const CLIENT_DATA_HEAD = `{"type":"webauthn.get","challenge":"${"q".repeat(43)}","origin":"`;
const CLIENT_DATA_TAIL = '","crossOrigin":false}';

/** What stands for the validator's signature in an estimate. Throws `UsageError` if no published validator is configured. */
export function encodeStub({ codeHash, config }: Configuration, clientDataBytes = STUB_CLIENT_DATA_BYTES): Hex {
  switch (codeHash) {
    case codeHashes.ecdsa:
      return ECDSA;
    case codeHashes.multisig:
      return concatHex(Array<Hex>(size(config) === 0 ? 0 : Number(config.slice(0, 4))).fill(ECDSA));
    case codeHashes.p256:
    case codeHashes.p256Solidity:
      return SCALARS;
    case codeHashes.webauthn:
    case codeHashes.webauthnSolidity:
      return encodeStubAssertion(clientDataBytes);
    default:
      throw new UsageError(`codeHash ${codeHash} is of no published validator: its authors know what it checks`);
  }
}

function encodeStubAssertion(clientDataBytes: number): Hex {
  const origin = clientDataBytes - CLIENT_DATA_HEAD.length - CLIENT_DATA_TAIL.length;
  if (origin < 0) throw new UsageError(`clientDataJSON is longer than ${clientDataBytes} bytes even without an origin`);
  return encodeAssertion(AUTHENTICATOR_DATA, CLIENT_DATA_HEAD + "q".repeat(origin) + CLIENT_DATA_TAIL, SCALARS);
}
