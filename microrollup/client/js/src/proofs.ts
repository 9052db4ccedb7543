// Proofs of settled state, folded here: no word of the node is believed but the header, and not even that if the root is
// given. The folding is the explorer's own, so that pages and programs judge alike.

import { type Hex, isHex } from "viem";
import { ProofError, computeBlockHash, computeHash, computeTreeKey, foldStateProof, judgeLeaf } from "../../../explorer/proof.js";
import { BadAnswer, ProofInvalid } from "./errors.js";
import type { HeaderAnswer, StateProofAnswer } from "./rpc.js";

/** What a proof proves under a state root. */
export interface ProvenValue {
  readonly exists: boolean;
  /** The bytes that the leaf commits to; `0x` for an absent or deleted key. */
  readonly value: Hex;
  readonly stateRoot: Hex;
  readonly treeKey: Hex;
  readonly height: bigint;
  /** The proof as the node gave it. */
  readonly proof: StateProofAnswer;
}

/** Throws `BadAnswer` unless the header's hash is that of its fourteen words. */
export function checkHeader(header: HeaderAnswer): HeaderAnswer {
  if (!isSame(computeBlockHash(header), header.hash)) throw new BadAnswer("a header with the hash of another one");
  return header;
}

/** Check a proof of the field number `silo` and a key's bytes under a state root. Throws `ProofInvalid`. */
export function checkProof(proof: StateProofAnswer, silo: number, encodedKey: Hex, stateRoot: Hex): ProvenValue {
  const treeKey = computeTreeKey(silo, encodedKey);
  let root: Hex;
  try {
    root = foldStateProof(proof).root;
  } catch (error) {
    if (error instanceof ProofError) throw new ProofInvalid(error.message);
    throw error;
  }
  if (!isSame(root, stateRoot)) throw new ProofInvalid(`the proof folds to ${root}, the state root is ${stateRoot}`);
  if (judgeLeaf(proof.leaf, treeKey) !== (proof.exists ? "included" : "excluded"))
    throw new ProofInvalid(`the leaf does not show that the key is ${proof.exists ? "there" : "absent"}`);
  const value = proof.exists ? proof.value : "0x";
  if (!isHex(value)) throw new ProofInvalid("a proof of a key that exists, without its value");
  if (proof.exists && !isSame(computeHash(value), proof.leaf.valueHash))
    throw new ProofInvalid("the leaf holds another value than the one shown");
  return { exists: proof.exists, value, stateRoot: root, treeKey, height: BigInt(proof.height), proof };
}

const isSame = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase();
