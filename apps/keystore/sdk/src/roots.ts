// The keystore's root on an OP-stack chain: prove the inbox's storage against L1's block hash, which the chain exposes.

import { type Address, type Client, type Hex, type Transport, type Account, type Chain, keccak256, numberToHex, toRlp } from "viem";
import { getBlock, getProof, readContract, simulateContract, waitForTransactionReceipt, writeContract } from "viem/actions";
import { parseEventLogs } from "viem/utils";
import { BadAnswer } from "../../../../microrollup/client/js/src/index.js";
import { accountAbi, rootsAbi } from "./generated.js";

/** The inbox's storage words that are proven: the state root, and its height with the times. */
const STORAGE_SLOTS: readonly Hex[] = [numberToHex(0, { size: 32 }), numberToHex(1, { size: 32 })];

/** Header fields in their order; a header ends where its fork does. `0` is an integer, `1` bytes as they are. */
const FIELDS = [
  ["parentHash", 1], ["sha3Uncles", 1], ["miner", 1], ["stateRoot", 1], ["transactionsRoot", 1], ["receiptsRoot", 1],
  ["logsBloom", 1], ["difficulty", 0], ["number", 0], ["gasLimit", 0], ["gasUsed", 0], ["timestamp", 0], ["extraData", 1],
  ["mixHash", 1], ["nonce", 1], ["baseFeePerGas", 0], ["withdrawalsRoot", 1], ["blobGasUsed", 0], ["excessBlobGas", 0],
  ["parentBeaconBlockRoot", 1], ["requestsHash", 1], ["blockAccessListHash", 1],
] as const; // prettier-ignore
const REQUIRED_FIELDS = 15;

/** The RLP of an L1 block's header from the JSON of `eth_getBlockByNumber`. Throws `BadAnswer` if its hash is another. */
export function encodeHeader(block: Readonly<Record<string, unknown>>): Hex {
  const fields = FIELDS.filter(([name], index) => index < REQUIRED_FIELDS || block[name] !== undefined);
  const header = toRlp(fields.map(([name, isBytes]) => encodeField(block[name] as Hex, isBytes === 1)));
  if (keccak256(header) !== block["hash"]) throw new BadAnswer("the L1 header has a field that is not known here");
  return header;
}

function encodeField(value: Hex, isBytes: boolean): Hex {
  if (isBytes) return value;
  return BigInt(value) === 0n ? "0x" : numberToHex(BigInt(value));
}

export interface BringRootOptions {
  readonly l1: Client<Transport>;
  /** A client of the chain with an account that pays the gas. */
  readonly l2: Client<Transport, Chain, Account>;
  readonly inbox: Address;
  readonly roots: Address;
}

/**
 * Show this chain the root that the inbox held in the L1 block that the chain knows now. Anybody may; two transactions.
 *
 * Resolves to the newest root, its height, and when L1 took it.
 */
export async function bringRoot({ l1, l2, inbox, roots }: BringRootOptions) {
  const contract = { address: roots, abi: rootsAbi } as const;
  const recorded = await send(l2, await simulateContract(l2, { ...contract, functionName: "recordBlockHash", account: l2.account }));
  const [event] = parseEventLogs({ abi: rootsAbi, eventName: "BlockHashRecorded", logs: recorded.logs });
  const number = event?.args.number ?? (await getBlock(l1)).number;
  const raw = (await l1.request({ method: "eth_getBlockByNumber", params: [numberToHex(number), false] } as never)) as Record<string, unknown>;
  const proof = await getProof(l1, { address: inbox, storageKeys: [...STORAGE_SLOTS], blockNumber: number });
  const [root, head] = proof.storageProof.map((entry) => entry.proof) as [Hex[], Hex[]];
  const args = [number, encodeHeader(raw), proof.accountProof, root, head] as const;
  await send(l2, await simulateContract(l2, { ...contract, functionName: "proveRoot", args, account: l2.account }));
  const [stateRoot, height, shownAt, settledAt] = await readContract(l2, { ...contract, functionName: "latest" });
  return { stateRoot, height, shownAt, settledAt };
}

/** Have an account copy this chain's newest root. Anybody may; needed once after each change, and every seven days of use. */
export async function pushRoot(l2: BringRootOptions["l2"], account: Address): Promise<void> {
  await send(l2, await simulateContract(l2, { address: account, abi: accountAbi, functionName: "pushRoot", account: l2.account }));
}

async function send(l2: BringRootOptions["l2"], { request }: { request: unknown }) {
  const hash = await writeContract(l2, request as never);
  return waitForTransactionReceipt(l2, { hash });
}
