// Folding proofs again in the browser, by the rules by which contracts and verifiers accept them. The page trusts no
// word of the node about a proof: it hashes everything itself and says what it found.

import { concat, fromHex, isHex, toBytes, toHex } from "./bytes.js";
import { keccak256 } from "./keccak.js";

const MAX_SIBLINGS = 64;
const HEADER_WORDS = [
  "rollupId",
  "height",
  "parentHash",
  "timestamp",
  "stfId",
  "l1Origin",
  "forcedCount",
  "forcedHash",
  "firstSeq",
  "actionCount",
  "actionsRoot",
  "receiptsRoot",
  "stateRoot",
  "metadataRoot",
];

/** A proof that is malformed, so that there is nothing to fold. */
export class ProofError extends Error {}

const hash = (...parts) => keccak256(concat(...parts));

function readFlag(value, name) {
  if (value !== 0 && value !== 1) throw new ProofError(`the leaf's ${name} is neither 0 nor 1`);
  return Uint8Array.of(value);
}

function readWord(value, name) {
  if (!isHex(value, 32)) throw new ProofError(`${name} is not 32 bytes`);
  return fromHex(value);
}

function readInteger(value, name) {
  if (!/^(0|[1-9][0-9]{0,19})$/.test(String(value))) throw new ProofError(`${name} is not a whole number`);
  return BigInt(value);
}

/** The 99 bytes of a leaf: active, prefix, key, nextPrefix, nextKey, valueHash. */
export function encodeLeaf(leaf) {
  if (leaf === null || typeof leaf !== "object") throw new ProofError("there is no leaf");
  return concat(
    readFlag(leaf.active, "active"),
    readFlag(leaf.prefix, "prefix"),
    readWord(leaf.key, "the leaf's key"),
    readFlag(leaf.nextPrefix, "nextPrefix"),
    readWord(leaf.nextKey, "the leaf's next key"),
    readWord(leaf.valueHash, "the leaf's value hash"),
  );
}

/** Fold a state proof: `{leafHash, steps: [{level, left, right, node, siblingOnLeft}], root}`, all hex. */
export function foldStateProof(proof) {
  if (proof === null || typeof proof !== "object") throw new ProofError("that is not a proof");
  const { siblings } = proof;
  if (!Array.isArray(siblings) || siblings.length > MAX_SIBLINGS) throw new ProofError("not 0 to 64 siblings");
  const sides = readInteger(proof.isLeft, "isLeft");
  if (sides >> BigInt(siblings.length) !== 0n) throw new ProofError("the side mask has bits beyond the siblings");
  if (sides !== readInteger(proof.leafIndex, "leafIndex"))
    throw new ProofError("the side mask is not the leaf's index");
  const turns = siblings.map((sibling, level) => ({
    sibling: readWord(sibling, `sibling ${level}`),
    onLeft: ((sides >> BigInt(level)) & 1n) === 1n,
  }));
  return fold(keccak256(encodeLeaf(proof.leaf)), turns, new Uint8Array(0));
}

/** Fold the proof of an item (a receipt) at `index` among `count`; an odd node is promoted without a sibling. */
export function foldItemProof(item, index, count, siblings) {
  if (!isHex(item)) throw new ProofError("the item is not hex");
  if (!Array.isArray(siblings)) throw new ProofError("there are no siblings");
  if (!Number.isSafeInteger(index) || !(index >= 0 && index < count))
    throw new ProofError(`no item ${index} of ${count}`);
  const left = [...siblings];
  const turns = [];
  for (let position = index, width = count; width > 1; position = position >> 1, width = Math.ceil(width / 2)) {
    if ((position ^ 1) >= width) continue;
    if (left.length === 0) throw new ProofError("too few siblings");
    turns.push({ sibling: readWord(left.shift(), "a sibling"), onLeft: (position & 1) === 1 });
  }
  if (left.length > 0) throw new ProofError("too many siblings");
  return fold(hash(Uint8Array.of(0), fromHex(item)), turns, Uint8Array.of(1));
}

function fold(leafHash, turns, prefix) {
  let node = leafHash;
  const steps = turns.map(({ sibling, onLeft }, level) => {
    const [left, right] = onLeft ? [sibling, node] : [node, sibling];
    node = hash(prefix, left, right);
    return { level, left: toHex(left), right: toHex(right), node: toHex(node), siblingOnLeft: onLeft };
  });
  return { leafHash: toHex(leafHash), steps, root: toHex(node) };
}

/** keccak256(silo || key): where the tree keeps a key of the settled field with that index. */
export function computeTreeKey(silo, encodedKey) {
  return toHex(hash(toBytes(silo, 2), fromHex(encodedKey)));
}

/** keccak256 of the header's fourteen words. */
export function computeBlockHash(header) {
  const words = HEADER_WORDS.map((name) => {
    const value = header[name];
    return isHex(value) ? readWord(value, name) : toBytes(readInteger(value, name), 32);
  });
  return toHex(hash(...words));
}

export function computeHash(hex) {
  return toHex(keccak256(fromHex(hex)));
}

/** What a leaf says of a tree key: "included", "excluded", or "nothing". Both halves of the gap must hold. */
export function judgeLeaf(leaf, treeKey) {
  const [low, key, high] = [leaf.key, treeKey, leaf.nextKey].map((word) => word.toLowerCase());
  if (leaf.active !== 1) return "nothing";
  if (leaf.prefix === 1 && low === key) return "included";
  const above = leaf.prefix === 0 || low < key;
  const below = leaf.nextPrefix === 0 || key < high;
  return above && below ? "excluded" : "nothing";
}

const same = (a, b) => typeof a === "string" && typeof b === "string" && a.toLowerCase() === b.toLowerCase();

/**
 * Everything that a state proof must satisfy, each as `{passed, label, detail}`; `passed` is null where the means to
 * check are missing. `silo` is the field's index among the settled ones, `header` the block's header from the node.
 * Throws a ProofError if the proof is malformed.
 */
export function checkStateProof(proof, { silo, header, blockHash } = {}) {
  const folded = foldStateProof(proof);
  readWord(proof.treeKey, "treeKey");
  readWord(proof.stateRoot, "stateRoot");
  const checks = [checkTreeKey(proof, silo), checkLeaf(proof), ...checkValue(proof)];
  checks.push({
    passed: same(folded.root, proof.stateRoot),
    label: "The path folds to the state root",
    detail: `${folded.steps.length + 1} hashes give ${folded.root}`,
  });
  checks.push(...checkHeader(folded, header, blockHash));
  return { folded, checks, matches: checks.every((check) => check.passed !== false) };
}

function checkTreeKey(proof, silo) {
  const label = "The tree key is that of the field and key";
  if (silo === undefined || !isHex(proof.encodedKey))
    return { passed: null, label, detail: "the field is not known here" };
  const expected = computeTreeKey(silo, proof.encodedKey);
  return { passed: same(expected, proof.treeKey), label, detail: `keccak256(${silo} as 2 bytes, key) = ${expected}` };
}

function checkLeaf(proof) {
  const said = judgeLeaf(proof.leaf, proof.treeKey);
  const label = proof.exists ? "The leaf is the key's own" : "The leaf and its successor leave no room for the key";
  return {
    passed: said === (proof.exists ? "included" : "excluded"),
    label,
    detail: `the leaf shows the key ${said === "nothing" ? "neither included nor excluded" : said}`,
  };
}

function checkValue(proof) {
  if (!proof.exists) return [];
  const label = "The leaf holds the value";
  if (!isHex(proof.value)) return [{ passed: false, label, detail: "the value is not hex" }];
  const expected = computeHash(proof.value);
  return [{ passed: same(expected, proof.leaf.valueHash), label, detail: `keccak256(value) = ${expected}` }];
}

function checkHeader(folded, header, blockHash) {
  const label = "The block's header has this state root";
  if (!header) return [{ passed: null, label, detail: "the node gave no header for this height" }];
  const recomputed = computeBlockHash(header);
  return [
    { passed: same(folded.root, header.stateRoot), label, detail: `block ${header.height} has ${header.stateRoot}` },
    {
      passed: same(recomputed, blockHash),
      label: "The header hashes to the block's hash",
      detail: `keccak256 of its fourteen words = ${recomputed}`,
    },
  ];
}
