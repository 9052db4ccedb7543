// Orders of other chains into the keystore (ERC-7683): what a filler reads, and what it signs.

import { type Address, type Hex, decodeAbiParameters, encodeAbiParameters, keccak256, pad, parseAbi, size } from "viem";
import { UsageError } from "../../../../microrollup/client/js/src/index.js";

/** The part of the standard that fillers of any kind read, and the settler's own `Locked`. */
export const originSettlerAbi = parseAbi([
  "struct Output { bytes32 token; uint256 amount; bytes32 recipient; uint256 chainId; }",
  "struct FillInstruction { uint256 destinationChainId; bytes32 destinationSettler; bytes originData; }",
  "struct ResolvedCrossChainOrder { address user; uint256 originChainId; uint32 openDeadline; uint32 fillDeadline; bytes32 orderId; Output[] maxSpent; Output[] minReceived; FillInstruction[] fillInstructions; }",
  "struct OnchainCrossChainOrder { uint32 fillDeadline; bytes32 orderDataType; bytes orderData; }",
  "struct Held { address user; address token; uint256 amount; address roots; bytes32 fillId; uint64 fillDeadline; }",
  "event Open(bytes32 indexed orderId, ResolvedCrossChainOrder resolvedOrder)",
  "event Locked(bytes32 indexed orderId, Held held)",
  "function resolve(OnchainCrossChainOrder order) view returns (ResolvedCrossChainOrder)",
]);

/** Who gives what to whom. */
export interface OrderOutput {
  readonly token: Hex;
  readonly amount: bigint;
  readonly recipient: Hex;
  readonly chainId: bigint;
}

/** What `Open` and `resolve` give. */
export interface ResolvedOrder {
  readonly originChainId: bigint;
  readonly fillDeadline: number;
  readonly orderId: Hex;
  readonly maxSpent: readonly OrderOutput[];
  readonly fillInstructions: readonly { readonly destinationChainId: bigint; readonly originData: Hex }[];
}

/** What `Locked` says beside `Open`, in the same transaction: which roots decide whether the order was filled. */
export interface HeldOrder {
  readonly roots: Address;
  readonly fillId: Hex;
}

/** The members of Keystore+'s action `Fill`. */
export interface Fill {
  readonly orderId: Hex;
  readonly settler: Address;
  readonly chainId: bigint;
  readonly fillerKey: Hex;
  readonly toKey: Hex;
  readonly token: Address;
  readonly amount: bigint;
  readonly claimant: Address;
  readonly fillDeadline: bigint;
}

const TERMS = ["bytes32", "address", "uint64", "bytes32", "address", "uint256", "uint64"].map((type) => ({ type }));
const TERMS_BYTES = 7 * 32;

/**
 * The action by which the account of `fillerKey` fills an order, for `RollupClient.submit`: `claimant` is paid on the order's
 * chain. `resolved` and `held` are of logs of the settler itself. Throws unless the order is for this rollup, of this settler,
 * whose code the filler knows, believes these roots, and says one thing only. By roots of its maker's own it would be paid back
 * although it was filled. Whether its tokens are good is for the filler to look at before.
 */
export function makeFill(
  resolved: ResolvedOrder,
  held: HeldOrder,
  known: { readonly rollupId: Hex; readonly settler: Address; readonly chainId: bigint; readonly roots: Address },
  fillerKey: Hex,
  claimant: Address,
): { readonly type: "Fill"; readonly message: Fill } {
  const [instruction, ...others] = resolved.fillInstructions;
  const [spent, ...more] = resolved.maxSpent;
  if (!instruction || !spent || others.length + more.length > 0) throw new UsageError("an order into the keystore has one leg");
  if (instruction.destinationChainId !== BigInt(known.rollupId)) throw new UsageError("the order is for another rollup");
  if (held.roots.toLowerCase() !== known.roots.toLowerCase()) throw new UsageError("the order believes other roots than the keystore's");
  if (size(instruction.originData) !== TERMS_BYTES) throw new UsageError("the order is of another settler's kind");
  const [orderId, settler, chainId, toKey, token, amount, fillDeadline] = decodeAbiParameters(
    TERMS,
    instruction.originData,
  ) as [Hex, Address, bigint, Hex, Address, bigint, bigint];
  const agrees =
    keccak256(instruction.originData) === held.fillId &&
    orderId === resolved.orderId &&
    settler.toLowerCase() === known.settler.toLowerCase() &&
    chainId === known.chainId &&
    resolved.originChainId === chainId &&
    BigInt(resolved.fillDeadline) === fillDeadline &&
    spent.recipient === toKey &&
    spent.token === pad(token.toLowerCase() as Hex) &&
    spent.amount === amount;
  if (!agrees) throw new UsageError("the order is of another settler, or says two things");
  return { type: "Fill", message: { orderId, settler, chainId, fillerKey, toKey, token, amount, claimant, fillDeadline } };
}

/** Under which id the fill is found in the rollup's state, and proven to the settler. */
export function computeFillId({ orderId, settler, chainId, toKey, token, amount, fillDeadline }: Omit<Fill, "fillerKey" | "claimant">): Hex {
  return keccak256(encodeAbiParameters(TERMS, [orderId, settler, chainId, toKey, token, amount, fillDeadline]));
}
