// From an action to the JSON that a node takes: EIP-712 under the domain and types that the rollup states.

import {
  type Address,
  type Hex,
  type TypedDataDefinition,
  type TypedDataDomain,
  concatHex,
  hashTypedData,
  keccak256,
} from "viem";
import type { ActionOf } from "./app.js";
import { type SignedAction, UsageError } from "./errors.js";

/**
 * Who signs actions: a local account of viem, a wallet client bound to one, or anything with an address.
 *
 * `signTypedData` answers with a signature in one of the rollup's schemes; 65 bytes of secp256k1 are what wallets give.
 */
export interface Signer {
  readonly address: Address;
  signTypedData(typedData: TypedDataDefinition): Promise<Hex>;
}

/** An action's typed data with its nonce, and the hash under which the rollup knows it once it is signed. */
export interface Statement {
  readonly typedData: TypedDataDefinition;
  readonly actionHash: Hex;
}

/** The typed data of an action. `nonce` is the last member of the message. */
export function makeStatement(
  domain: TypedDataDomain,
  action: ActionOf,
  message: Readonly<Record<string, unknown>>,
  nonce: bigint,
  sender: Address,
): Statement {
  const members = action.types[action.name] as readonly { name: string }[];
  const given = Object.keys(message);
  const wanted = members.map(({ name }) => name).filter((name) => name !== "nonce");
  const wrong = [...wanted.filter((name) => !given.includes(name)), ...given.filter((name) => !wanted.includes(name))];
  if (wrong.length > 0) throw new UsageError(`${action.name} has the members ${wanted.join(", ")}: look at ${wrong[0]}`);
  const typedData = {
    domain,
    types: action.types,
    primaryType: action.name,
    message: { ...message, nonce },
  } as TypedDataDefinition;
  return { typedData, actionHash: keccak256(concatHex([hashTypedData(typedData), sender])) };
}

/** The action as a node takes it. */
export async function signStatement({ typedData }: Statement, signer: Signer): Promise<SignedAction> {
  const signature = await signer.signTypedData(typedData);
  const message = toJson(typedData.message) as Record<string, unknown>;
  return { type: typedData.primaryType, message, signature, sender: signer.address };
}

/** The same with integers as decimal texts, which are exact at any size. */
export function toJson(value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value)) throw new UsageError(`${value} is not exact: write it as bigint`);
    return value.toString();
  }
  if (Array.isArray(value)) return value.map(toJson);
  if (value !== null && typeof value === "object")
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, toJson(item)]));
  return value;
}
