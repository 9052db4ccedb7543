// Orders into the keystore: what a filler signs follows from what the standard gives, or is refused.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { decodeEventLog, encodeAbiParameters, encodeEventTopics, keccak256, pad } from "viem";
import { UsageError, computeFillId, makeFill, originSettlerAbi } from "../dist/index.js";

const cases = JSON.parse(
  await readFile(new URL("../../../../tests/vectors/conformance/keystore-plus-hashes.json", import.meta.url), "utf8"),
).cases;
const { from, hash } = cases.find(({ what }) => what === "fillId");
const terms = { ...from, chainId: BigInt(from.chainId), amount: BigInt(from.amount), fillDeadline: BigInt(from.fillDeadline) };
const rollupId = `0x${"a1".repeat(32)}`;
const roots = `0x${"2a".repeat(20)}`;
const known = { rollupId, settler: from.settler, chainId: 10n, roots };
const held = { roots, fillId: hash };
const [filler, claimant] = [`0x${"f1".repeat(32)}`, `0x${"c1".repeat(20)}`];

/** The order as a node's log has it, read by the published ABI. */
function readOrder({ changed = {}, spent = {}, legs = 1 } = {}) {
  const types = ["bytes32", "address", "uint64", "bytes32", "address", "uint256", "uint64"].map((type) => ({ type }));
  const { orderId, settler, chainId, toKey, token, amount, fillDeadline } = { ...terms, ...changed };
  const originData = encodeAbiParameters(types, [orderId, settler, chainId, toKey, token, amount, fillDeadline]);
  const event = originSettlerAbi.find(({ name }) => name === "Open");
  const order = {
    user: claimant, originChainId: 10n, openDeadline: 2 ** 32 - 1, fillDeadline: Number(terms.fillDeadline), orderId: terms.orderId,
    maxSpent: [{ token: pad(terms.token), amount: terms.amount, recipient: terms.toKey, chainId: BigInt(rollupId), ...spent }],
    minReceived: [],
    fillInstructions: Array(legs).fill({ destinationChainId: BigInt(rollupId), destinationSettler: rollupId, originData }),
  }; // prettier-ignore
  const data = encodeAbiParameters([event.inputs[1]], [order]);
  const topics = encodeEventTopics({ abi: originSettlerAbi, eventName: "Open", args: { orderId: terms.orderId } });
  return decodeEventLog({ abi: originSettlerAbi, data, topics }).args.resolvedOrder;
}

/** What the log beside it says is held. */
function readHeld() {
  const event = originSettlerAbi.find(({ name }) => name === "Locked");
  const words = { ...held, user: claimant, token: claimant, amount: 5n, fillDeadline: terms.fillDeadline };
  const data = encodeAbiParameters([event.inputs[1]], [words]);
  const topics = encodeEventTopics({ abi: originSettlerAbi, eventName: "Locked", args: { orderId: terms.orderId } });
  return decodeEventLog({ abi: originSettlerAbi, data, topics }).args.held;
}

test("what a filler signs is what the settler will look for", () => {
  const { type, message } = makeFill(readOrder(), readHeld(), known, filler, claimant);
  assert.equal(type, "Fill");
  assert.equal(computeFillId(message), hash);
  assert.deepEqual([message.fillerKey, message.claimant], [filler, claimant]);
});

test("an order of another settler, chain or rollup, or that says two things, is not filled", () => {
  const wrong = [
    readOrder({ changed: { settler: claimant } }), readOrder({ changed: { chainId: 11n } }), readOrder({ changed: { amount: 1n } }),
    readOrder({ changed: { toKey: rollupId } }), readOrder({ changed: { fillDeadline: 5n } }), readOrder({ changed: { orderId: rollupId } }),
    readOrder({ spent: { token: pad(claimant) } }), readOrder({ legs: 2 }), readOrder({ legs: 0 }),
  ]; // prettier-ignore
  for (const order of wrong) {
    const fillId = keccak256(order.fillInstructions[0]?.originData ?? "0x");
    assert.throws(() => makeFill(order, { roots, fillId }, known, filler, claimant), UsageError);
  }
  assert.throws(() => makeFill(readOrder(), held, { ...known, rollupId: filler }, filler, claimant), UsageError);
});

test("an order that believes roots of its maker's own is not filled", () => {
  assert.throws(() => makeFill(readOrder(), { ...held, roots: claimant }, known, filler, claimant), /other roots/);
  assert.throws(() => makeFill(readOrder(), { ...held, fillId: rollupId }, known, filler, claimant), UsageError);
});
