// Who signs for an account: a configuration, and what its validator takes as a signature over 32 bytes.

import { type Hex, type LocalAccount, concatHex, isAddressEqual, slice } from "viem";
import type { WebAuthnAccount } from "viem/account-abstraction";
import { UsageError, askPasskey } from "../../../../microrollup/client/js/src/index.js";
import { encodeAssertion } from "./assertion.js";
import { type Configuration, type PrecompileOptions, configureEcdsa, configureMultisig, configureWebAuthn } from "./configuration.js"; // prettier-ignore
import { encodeStub } from "./stub.js";

/** A configuration with the means to sign for it. */
export interface AccountSigner {
  readonly configuration: Configuration;
  /** The validator's signature over a hash. */
  sign(hash: Hex): Promise<Hex>;
  /** A signature of the right form by nobody: estimates with it cost what the real one will. */
  readonly stub: Hex;
}

/** A local account of viem that signs hashes: of a private key, or of a key service. */
type HashSigner = Pick<LocalAccount, "address"> & { sign(parameters: { hash: Hex }): Promise<Hex> };

/** An Ethereum key that signs hashes: a local account of viem. */
export function toEcdsaSigner(account: HashSigner): AccountSigner {
  const configuration = configureEcdsa(account.address);
  return { configuration, sign: (hash) => account.sign({ hash }), stub: encodeStub(configuration) };
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
    stub: encodeStub(configuration),
  };
}

/**
 * A passkey: viem's `toWebAuthnAccount`. The user is asked for each signature. `clientDataBytes` is what estimates count with
 * as the browser's clientDataJSON: tell it for an origin of more than 200 letters.
 */
export function toPasskeyAccountSigner(
  account: WebAuthnAccount,
  { precompile, clientDataBytes }: PrecompileOptions & { readonly clientDataBytes?: number } = {},
): AccountSigner {
  const configuration = configureWebAuthn(account.publicKey, { ...(precompile !== undefined && { precompile }) });
  return {
    configuration,
    async sign(hash) {
      const { signature, webauthn } = await askPasskey(account, hash);
      return encodeAssertion(webauthn.authenticatorData, webauthn.clientDataJSON, slice(signature, 0, 64));
    },
    stub: encodeStub(configuration, clientDataBytes),
  };
}
