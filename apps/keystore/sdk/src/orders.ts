// Orders of other chains into the keystore (ERC-7683): what a filler reads, and what it signs.

import { type Address, type Hex, decodeAbiParameters, encodeAbiParameters, keccak256, pad, parseAbi, size } from "viem";
import { UsageError } from "../../../../microrollup/client/js/src/index.js";

/** The part of the standard that fillers of any kind read. */
export const originSettlerAbi = parseAbi([
  "struct Output { bytes32 token; uint256 amount; bytes32 recipient; uint256 chainId; }",
  "struct FillInstruction { uint256 destinationChainId; bytes32 destinationSettler; bytes originData; }",
  "struct ResolvedCrossChainOrder { address user; uint256 originChainId; uint32 openDeadline; uint32 fillDeadline; bytes32 orderId; Output[] maxSpent; Output[] minReceived; FillInstruction[] fillInstructions; }",
  "struct OnchainCrossChainOrder { uint32 fillDeadline; bytes32 orderDataType; bytes orderData; }",
  "event Open(bytes32 indexed orderId, ResolvedCrossChainOrder resolvedOrder)",
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
 * chain. Throws unless the order is for this rollup and of this settler, whose code the filler knows, and says one thing only.
 * Whether its roots are the keystore's, and its tokens good, is for the filler to look at before.
 */
export function makeFill(
  resolved: ResolvedOrder,
  known: { readonly rollupId: Hex; readonly settler: Address; readonly chainId: bigint },
  fillerKey: Hex,
  claimant: Address,
): { readonly type: "Fill"; readonly message: Fill } {
  const [instruction, ...others] = resolved.fillInstructions;
  const [spent, ...more] = resolved.maxSpent;
  if (!instruction || !spent || others.length + more.length > 0) throw new UsageError("an order into the keystore has one leg");
  if (instruction.destinationChainId !== BigInt(known.rollupId)) throw new UsageError("the order is for another rollup");
  if (size(instruction.originData) !== TERMS_BYTES) throw new UsageError("the order is of another settler's kind");
  const [orderId, settler, chainId, toKey, token, amount, fillDeadline] = decodeAbiParameters(
    TERMS,
    instruction.originData,
  ) as [Hex, Address, bigint, Hex, Address, bigint, bigint];
  const agrees =
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
