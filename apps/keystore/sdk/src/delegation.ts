// An EOA that delegates to the keystore's code (EIP-7702) and keeps its address. Its own private key sets the key of the
// keystore that it lives by, and stays a master key, which the keystore cannot revoke.

import {
  type Account,
  type Address,
  type Chain,
  type Client,
  type Hex,
  type LocalAccount,
  type Transport,
  type TypedDataDefinition,
  encodeAbiParameters,
  encodeFunctionData,
  isAddressEqual,
  keccak256,
  parseAbiParameters,
  size,
  slice,
  toHex,
} from "viem";
import { getCode, getStorageAt, readContract, sendTransaction, signAuthorization, waitForTransactionReceipt } from "viem/actions";
import { RollupError, UsageError } from "../../../../microrollup/client/js/src/index.js";
import { type Deployment, type KeystoreSmartAccount, type KeystoreSmartAccountOptions, makeSmartAccount } from "./account.js";
import { delegateAbi } from "./generated.js";
import { pushRoot } from "./roots.js";

/** The EOA does not delegate to the keystore's code on this chain, or lives by another key: `delegateToKeystore`. */
export class NotDelegated extends RollupError {
  override readonly name = "NotDelegated";
}

/** An EOA's code is this and its delegate's address (EIP-7702). */
const DELEGATION: Hex = "0xef0100";
const DELEGATION_BYTES = 23;
/** ERC-7201, `erc7201:microrollup.keystore.7702`: key and sequence lie there, by delegate. */
const PLACES: Hex = "0x9ac508ec621397efe225c4d4623ba2f79f2e0008cf171d4395da5790a78ee300";
const SET_KEY = { SetKey: [{ name: "delegate", type: "address" }, { name: "key", type: "bytes32" }, { name: "sequence", type: "uint256" }] } as const; // prettier-ignore

/** An EOA's private key: a local account of viem. */
export type Eoa = Pick<LocalAccount, "address" | "signTypedData"> & Required<Pick<LocalAccount, "signAuthorization">>;

/** The smart account at an EOA's own address; `identity` is of the key that it lives by. Throws `NotDelegated` when used before. */
export function toKeystoreEoaAccount(options: KeystoreSmartAccountOptions & { readonly address: Address }): Promise<KeystoreSmartAccount> {
  const { client, deployment, identity, address } = options;
  const check = () => checkDelegation(client, address, getDelegate(deployment), identity.key);
  const getFactoryArgs = async () => {
    await check();
    return { factory: undefined, factoryData: undefined };
  };
  return makeSmartAccount(options, { address, check, getFactoryArgs });
}

/** To whom an EOA delegates on a chain; null if to nobody. */
export async function readDelegate(client: Client<Transport>, address: Address): Promise<Address | null> {
  const code = (await getCode(client, { address })) ?? "0x";
  return size(code) === DELEGATION_BYTES && code.startsWith(DELEGATION) ? slice(code, 3) : null;
}

/** What an EOA's private key signs so that it lives by `key`; `sequence` is larger than the last one. */
export function makeSetKey(eoa: Address, delegate: Address, key: Hex, sequence: bigint, chainId: number) {
  return {
    domain: { name: "KeystoreAccount", version: "1", chainId, verifyingContract: eoa },
    types: SET_KEY,
    primaryType: "SetKey",
    message: { delegate, key, sequence },
  } as const satisfies TypedDataDefinition;
}

/** The call to the EOA that sets its key; anybody may send it. A `pushRoot` must follow. */
export function encodeSetKey(key: Hex, sequence: bigint, signature: Hex): Hex {
  return encodeFunctionData({ abi: delegateAbi, functionName: "setKey", args: [key, sequence, signature] });
}

/** The sequence of the last signature that set an EOA's key, 0 before the first; also while it delegates elsewhere. */
export async function readKeySequence(client: Client<Transport>, eoa: Address, delegate: Address): Promise<bigint> {
  const place = keccak256(encodeAbiParameters(parseAbiParameters("address, bytes32"), [delegate, PLACES]));
  return BigInt((await getStorageAt(client, { address: eoa, slot: toHex(BigInt(place) + 1n, { size: 32 }) })) ?? 0n);
}

export interface DelegateOptions {
  /** A client of the chain with an account that pays the gas; it may be the EOA itself. */
  readonly client: Client<Transport, Chain, Account>;
  readonly eoa: Eoa;
  readonly deployment: Deployment;
  /** The key of the keystore; it need not be registered. */
  readonly key: Hex;
}

/**
 * Have an EOA delegate to the keystore's code, live by a key, and copy this chain's newest root: two transactions. Throws
 * `NotDelegated` if it does not then, as when another of its transactions came between.
 */
export async function delegateToKeystore({ client, eoa, deployment, key }: DelegateOptions): Promise<void> {
  const delegate = getDelegate(deployment);
  const sequence = (await readKeySequence(client, eoa.address, delegate)) + 1n;
  const signature = await eoa.signTypedData(makeSetKey(eoa.address, delegate, key, sequence, client.chain.id));
  const executor = isAddressEqual(client.account.address, eoa.address) ? "self" : client.account;
  const authorization = await signAuthorization(client, { account: eoa as LocalAccount, contractAddress: delegate, executor });
  const data = encodeSetKey(key, sequence, signature);
  const request = { account: client.account, chain: client.chain, to: eoa.address, data, authorizationList: [authorization] };
  const hash = await sendTransaction(client, request as never);
  const { status } = await waitForTransactionReceipt(client, { hash });
  if (status !== "success") throw new NotDelegated(`the transaction ${hash} has failed: another signature has set the key meanwhile`);
  await checkDelegation(client, eoa.address, delegate, key);
  await pushRoot(client, eoa.address);
}

/** Throws `NotDelegated` unless the EOA lives by this key. */
async function checkDelegation(client: Client<Transport>, address: Address, delegate: Address, key: Hex): Promise<void> {
  const found = await readDelegate(client, address);
  if (found === null) throw new NotDelegated(`${address} does not delegate on this chain`);
  if (!isAddressEqual(found, delegate)) throw new NotDelegated(`${address} delegates to ${found}, not to ${delegate}`);
  const known = await readContract(client, { address, abi: delegateAbi, functionName: "key" });
  if (known !== key) throw new NotDelegated(`${address} lives by the key ${known}, not by ${key}`);
}

function getDelegate({ delegate }: Deployment): Address {
  if (delegate === undefined) throw new UsageError("the deployment names no delegate: its address is that of Keystore7702");
  return delegate;
}
