// The formats, against the vectors that every implementation shares.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { decode } from "@msgpack/msgpack";
import { keccak256, recoverTypedDataAddress } from "viem";
import {
  ProofInvalid,
  UsageError,
  checkHeader,
  checkProof,
  computeReceiptHash,
  encodeCarriedPayload,
  encodeKey,
  makeStatement,
} from "../dist/index.js";

const read = async (name) =>
  JSON.parse(await readFile(new URL(`../../../../tests/vectors/conformance/${name}.json`, import.meta.url), "utf8")).cases;

const STATUSES = ["executed", "rejected", "faulted"];

test("receipts hash to the leaf that an acknowledgement signs", async () => {
  const cases = (await read("receipts")).filter(({ receipt }) => Number(receipt.status) < STATUSES.length);
  assert.ok(cases.length >= 3);
  for (const { receipt, leaf } of cases) {
    const events = receipt.events.map(([name, data]) => ({ name, data }));
    assert.equal(computeReceiptHash({ ...receipt, status: STATUSES[receipt.status], events }), leaf);
  }
});

test("keys of maps have the tree's bytes", async () => {
  for (const { type, components, encoded } of await read("map-keys"))
    assert.equal(encodeKey(type, type.startsWith("(") ? components : components[0]), encoded);
});

test("a key that is of another type is refused", () => {
  const wrong = [
    ["uint8", 256], ["uint64", -1], ["uint64", 2 ** 53], ["uint64", "x"], ["bytes32", "0x00"], ["address", "0x0"],
    ["bytes", "ab"], ["(address,uint8)", ["0x"]], [null, "0x00"],
  ]; // prettier-ignore
  for (const [type, key] of wrong) assert.throws(() => encodeKey(type, key), UsageError, `${type} ${key}`);
});

test("headers hash to the block's hash", async () => {
  for (const { header, blockHash } of await read("headers")) {
    assert.equal(checkHeader({ ...header, hash: blockHash }).hash, blockHash);
    assert.throws(() => checkHeader({ ...header, height: "1234567", hash: blockHash }), { name: "BadAnswer" });
  }
});

test("an action has the hash under which the rollup knows it", async () => {
  const cases = (await read("typed-data")).filter(({ encodedType }) => encodedType === EDIT.typeString);
  assert.ok(cases.length >= 1);
  for (const { domain, message, digest } of cases) {
    const sender = "0x00000000000000000000000000000000000000aa";
    const { nonce, ...members } = message;
    const made = makeStatement(toDomain(domain), EDIT, members, BigInt(nonce), sender);
    assert.equal(made.actionHash, keccak256(`${digest}${sender.slice(2)}`));
  }
});

test("a carried payload is the record that the log holds", async () => {
  const cases = (await read("carried-payloads")).filter(({ decodes }) => decodes);
  assert.ok(cases.length >= 1);
  for (const { domain, payload, sender, nonce } of cases) {
    const { members, signature } = splitRecord(payload);
    const message = { steps: members[0], reject: members[1], nonce };
    const signed = { type: "Edit", message, signature, sender };
    assert.equal(encodeCarriedPayload(EDIT, signed), payload);
    if (signature.length !== 132) continue;
    const typedData = { domain: toDomain(domain), types: EDIT.types, primaryType: "Edit", message: { ...message, nonce: BigInt(nonce) } };
    assert.equal((await recoverTypedDataAddress({ ...typedData, signature })).toLowerCase(), sender);
  }
});

const STEP = [["kind", "uint8"], ["key", "uint32"], ["value", "uint64"]]; // prettier-ignore
const toMembers = (pairs) => pairs.map(([name, type]) => ({ name, type }));
const EDIT = {
  name: "Edit",
  typeString: "Edit(Step[] steps,bool reject,uint64 nonce)Step(uint8 kind,uint32 key,uint64 value)",
  types: { Edit: toMembers([["steps", "Step[]"], ["reject", "bool"], ["nonce", "uint64"]]), Step: toMembers(STEP) }, // prettier-ignore
};
const toDomain = ({ chainId, ...domain }) => ({ ...domain, chainId: BigInt(chainId) });

/** Members and signature of a record `["Edit", [steps, reject], nonce, signature]`. */
function splitRecord(payload) {
  const [, [steps, reject], , signature] = decode(Buffer.from(payload.slice(4), "hex"));
  const named = steps.map((step) => Object.fromEntries(STEP.map(([name], index) => [name, step[index]])));
  return { members: [named, reject], signature: `0x${Buffer.from(signature).toString("hex")}` };
}
