// A keystore account as viem's bundler client takes it.

import {
  type Address,
  type Chain,
  type Client,
  type Hex,
  type Transport,
  type TypedDataDefinition,
  decodeFunctionData,
  encodeFunctionData,
  keccak256,
  slice,
  toHex,
} from "viem";
import {
  type SmartAccount,
  type SmartAccountImplementation,
  entryPoint08Abi,
  getUserOperationHash,
  toSmartAccount,
} from "viem/account-abstraction";
import { getCode, readContract } from "viem/actions";
import { hashMessage, hashTypedData, wrapTypedDataSignature } from "viem/experimental/erc7739";
import { RollupError } from "../../../../microrollup/client/js/src/index.js";
import { ENTRY_POINT, computeAccountAddress, computeData } from "./configuration.js";
import { accountAbi, factoryAbi, rootsAbi } from "./generated.js";
import type { KeystoreClient } from "./keystore.js";
import { CACHED, type Identity, type Opening, encodeSignature, openShown, remember } from "./opening.js";
import type { AccountSigner } from "./signers.js";

/** This chain's copy of the keystore's root cannot show what the account holds: bring and push a newer one. */
export class StaleRoot extends RollupError {
  override readonly name = "StaleRoot";
}

/** Where on a chain the keystore's contracts are; the same everywhere for one deployment. */
export interface Deployment {
  readonly factory: Address;
  readonly roots: Address;
  /** `Keystore7702`, for EOAs that keep their address. */
  readonly delegate?: Address;
  /** EntryPoint 0.8 by default. */
  readonly entryPoint?: Address;
}

export interface KeystoreSmartAccountOptions {
  /** A client of the chain that the account is on. */
  readonly client: Client<Transport, Chain>;
  /** Proves the account. */
  readonly keystore: KeystoreClient;
  readonly deployment: Deployment;
  readonly identity: Identity;
  /** Who decides over the account now, by the keystore. */
  readonly signer: AccountSigner;
  /** Have the account remember the configuration, so that later operations need no proof while the root is good. */
  readonly remember?: boolean;
}

type Implementation = SmartAccountImplementation<
  typeof entryPoint08Abi,
  "0.8",
  { readonly key: Hex; open(): Promise<Opening> }
>;
export type KeystoreSmartAccount = SmartAccount<Implementation>;

const DUMMY_HASH = toHex(0, { size: 32 });
const REMEMBERED_BYTES = 27;
/** A memory that ends within this time is not relied on. */
const SPARE_SECONDS = 60;

/** The smart account of a keystore key: sends operations and signs messages, deployed or not. */
export function toKeystoreSmartAccount(options: KeystoreSmartAccountOptions): Promise<KeystoreSmartAccount> {
  const { client, deployment, identity } = options;
  return makeSmartAccount(options, {
    address: computeAccountAddress(deployment.factory, identity.key),
    async check() {},
    async getFactoryArgs() {
      const [root] = await readLatest(client, deployment);
      const factoryData = encodeFunctionData({ abi: factoryAbi, functionName: "createAccount", args: [identity.key, root] });
      return { factory: deployment.factory, factoryData };
    },
  });
}

/** Where an account is, and how it comes there. */
interface Place {
  readonly address: Address;
  /** Throws unless the code there is the keystore's, or there is none yet. */
  check(): Promise<void>;
  getFactoryArgs: Implementation["getFactoryArgs"];
}

/** The account at a place. */
export async function makeSmartAccount(options: KeystoreSmartAccountOptions, place: Place): Promise<KeystoreSmartAccount> {
  const { client, keystore, deployment, identity, signer } = options;
  const { configuration } = signer;
  const { address } = place;
  const entryPoint = { abi: entryPoint08Abi, address: deployment.entryPoint ?? ENTRY_POINT, version: "0.8" } as const;
  const domain = {
    name: "KeystoreAccount",
    version: "1",
    chainId: client.chain.id,
    verifyingContract: address,
    salt: DUMMY_HASH,
  };

  /** The opening for the root that the account has a copy of, or will take when it is created. */
  async function open(): Promise<Opening> {
    await place.check();
    const deployed = (await getCode(client, { address })) !== undefined;
    if (deployed && (await isRemembered())) return CACHED;
    const [root, height] = deployed ? await readCopy() : await readLatest(client, deployment);
    const proven = await keystore.prove(identity.key, { height: Number(height), stateRoot: root });
    const opening = openShown(proven, configuration, identity);
    return options.remember ? remember(opening) : opening;
  }

  async function readCopy(): Promise<readonly [Hex, bigint]> {
    const [root, height] = await readContract(client, { address, abi: accountAbi, functionName: "getRoots" });
    if (root === DUMMY_HASH) throw new StaleRoot(`${address} has no root yet: push one`);
    return [root, height];
  }

  /** Whether the account remembers this very configuration for a while yet. */
  async function isRemembered(): Promise<boolean> {
    const [dataHash, validUntil] = await readContract(client, { address, abi: accountAbi, functionName: "getRemembered" });
    const known = dataHash === slice(keccak256(computeData(configuration)), 0, REMEMBERED_BYTES);
    return known && Number(validUntil) > Date.now() / 1_000 + SPARE_SECONDS;
  }

  const encode = async (hash: Hex): Promise<Hex> => encodeSignature(configuration, await open(), await signer.sign(hash));

  return toSmartAccount({
    client,
    entryPoint,
    extend: { key: identity.key, open },
    async getAddress() {
      return address;
    },
    getFactoryArgs: place.getFactoryArgs,
    async encodeCalls(calls) {
      const [first, ...more] = calls.map(({ to, value, data }) => ({ target: to, value: value ?? 0n, data: data ?? "0x" }) as const);
      if (first !== undefined && more.length === 0)
        return encodeFunctionData({ abi: accountAbi, functionName: "execute", args: [first.target, first.value, first.data] });
      return encodeFunctionData({ abi: accountAbi, functionName: "executeBatch", args: [first === undefined ? [] : [first, ...more]] });
    },
    async decodeCalls(data) {
      const decoded = decodeFunctionData({ abi: accountAbi, data });
      if (decoded.functionName === "execute") {
        const [to, value, callData] = decoded.args;
        return [{ to, value, data: callData }];
      }
      if (decoded.functionName !== "executeBatch") throw new RollupError("the call data is not that of an operation");
      return decoded.args[0].map(({ target, value, data }) => ({ to: target, value, data }));
    },
    async getStubSignature() {
      return encodeSignature(configuration, await open(), signer.stub);
    },
    async signMessage({ message }) {
      return encode(hashMessage({ message, verifierDomain: domain }));
    },
    async signTypedData(typedData) {
      const { domain: appDomain, types, primaryType, message } = typedData as TypedDataDefinition;
      const parts = { domain: appDomain ?? {}, types, primaryType, message };
      const signature = await encode(hashTypedData({ ...parts, verifierDomain: domain } as never));
      return wrapTypedDataSignature({ ...parts, signature } as never);
    },
    async signUserOperation({ chainId = client.chain.id, ...operation }) {
      const hash = getUserOperationHash({
        chainId,
        entryPointAddress: entryPoint.address,
        entryPointVersion: entryPoint.version,
        userOperation: { ...operation, sender: address } as never,
      });
      return encode(hash);
    },
  } as Implementation) as Promise<KeystoreSmartAccount>;
}

/** The chain's newest root and its height. Throws `StaleRoot` before the first. */
async function readLatest(client: Client<Transport>, { roots }: Deployment): Promise<readonly [Hex, bigint]> {
  const [root, height] = await readContract(client, { address: roots, abi: rootsAbi, functionName: "latest" });
  if (height === 0n) throw new StaleRoot("this chain knows no root of the keystore yet: bring one");
  return [root, height];
}
