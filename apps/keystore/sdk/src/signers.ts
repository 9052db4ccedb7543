// Who signs for an account: a configuration, and what its validator takes as a signature over 32 bytes.

import { type Hex, type LocalAccount, concatHex, hexToBytes, isAddressEqual, slice, stringToHex, toHex } from "viem";
import type { WebAuthnAccount } from "viem/account-abstraction";
import { UsageError } from "../../../../microrollup/client/js/src/index.js";
import { type Configuration, configureEcdsa, configureMultisig, configureWebAuthn } from "./configuration.js";

/** A configuration with the means to sign for it. */
export interface AccountSigner {
  readonly configuration: Configuration;
  /** The validator's signature over a hash. */
  sign(hash: Hex): Promise<Hex>;
  /** A signature of the right form by nobody: estimates with it cost what the real one will. */
  readonly stub: Hex;
}

const HALF_P256_ORDER = 0x7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8n;
const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
/** r and s of nobody's, in range and with a low s; v as wallets write it. */
const SCALARS: Hex = concatHex([`0x${"1f".repeat(32)}`, `0x${"2f".repeat(32)}`]);
const ECDSA_STUB: Hex = concatHex([SCALARS, "0x1b"]);

/** A local account of viem that signs hashes: of a private key, or of a key service. */
type HashSigner = Pick<LocalAccount, "address"> & { sign(parameters: { hash: Hex }): Promise<Hex> };

/** An Ethereum key that signs hashes: a local account of viem. */
export function toEcdsaSigner(account: HashSigner): AccountSigner {
  return { configuration: configureEcdsa(account.address), sign: (hash) => account.sign({ hash }), stub: ECDSA_STUB };
}

/** `threshold` of `owners`; those of `accounts` sign, who are exactly as many. */
export function toMultisigSigner(
  threshold: number,
  owners: readonly HashSigner["address"][],
  accounts: readonly HashSigner[],
): AccountSigner {
  const configuration = configureMultisig(threshold, owners);
  const signing = [...accounts].sort((a, b) => (a.address.toLowerCase() < b.address.toLowerCase() ? -1 : 1));
  const strangers = signing.filter(({ address }) => !owners.some((owner) => isAddressEqual(owner, address)));
  if (signing.length !== threshold || strangers.length > 0)
    throw new UsageError(`${threshold} of the owners sign, no more, no less and nobody else`);
  return {
    configuration,
    sign: async (hash) => concatHex(await Promise.all(signing.map((account) => account.sign({ hash })))),
    stub: concatHex(signing.map(() => ECDSA_STUB)),
  };
}

/** A passkey: viem's `toWebAuthnAccount`. The user is asked for each signature. */
export function toPasskeyAccountSigner(account: WebAuthnAccount): AccountSigner {
  return {
    configuration: configureWebAuthn(account.publicKey),
    async sign(hash) {
      const { signature, webauthn } = await account.sign({ hash });
      return encodeAssertion(webauthn.authenticatorData, webauthn.clientDataJSON, slice(signature, 0, 64));
    },
    stub: encodeAssertion(STUB_AUTHENTICATOR_DATA, STUB_CLIENT_DATA, SCALARS),
  };
}

// As much data as platform authenticators give: a longer origin costs a little more.
const STUB_AUTHENTICATOR_DATA: Hex = `0x${"11".repeat(32)}05${"00".repeat(4)}`;
const STUB_CLIENT_DATA = `{"type":"webauthn.get","challenge":"${"A".repeat(43)}","origin":"https://a-wallet-with-a-long-name.example","crossOrigin":false}`;

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
