// The client against a real node of the keystore, and against one that lies.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { keccak256, toHex } from "viem";
import { toWebAuthnAccount } from "viem/account-abstraction";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import WebSocket from "ws";
import { ActionRefused, BadAnswer, ForeignNode, OutcomeUnknown, RollupClient, UsageError, askPasskey, toPasskeySigner } from "../dist/index.js";
import { startLiar } from "./liar.mjs";
import { startNode } from "./node.mjs";
import { makePasskey } from "./passkey.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const ONE = toHex(1, { size: 32 });
const TWO = toHex(2, { size: 32 });
let node, liar, client;

before(async () => {
  node = await startNode("keystore");
  liar = await startLiar(node.url);
  client = new RollupClient({ url: node.url, WebSocket });
});
after(async () => {
  await liar.stop();
  await node.stop();
});

let salts = 0;
const makeRegister = () => {
  salts += 1;
  return { type: "Register", message: { codeHash: ONE, configHash: TWO, salt: keccak256(toHex(salts)) } };
};
const newAccount = () => privateKeyToAccount(generatePrivateKey());

test("actions of one sender go side by side, and what they register is proven", async () => {
  const account = newAccount();
  const acks = await Promise.all(Array.from({ length: 5 }, () => client.submit(makeRegister(), account)));
  assert.deepEqual(acks.map(({ status }) => status), Array(5).fill("executed")); // prettier-ignore
  assert.equal((await client.wait(acks[4], "C3B")).level, "C3B");
  const [{ name, fields }] = await client.readEvents(acks[4]);
  assert.equal(name, "Registered");
  const proven = await client.getProof("accounts", fields.key);
  assert.ok(proven.exists && proven.value.length === 2 + 2 * 64);
  assert.equal(proven.header.stateRoot, proven.stateRoot);
  const again = await client.getProof("accounts", fields.key, { stateRoot: proven.stateRoot, height: Number(proven.height) });
  assert.equal(again.value, proven.value);
  assert.equal((await client.getState("accounts", fields.key)).exists, true);
  assert.equal((await client.getProof("accounts", ONE)).exists, false);
});

test("the same bytes sent twice are answered with the first acknowledgement", async () => {
  const account = newAccount();
  const signed = await client.sign(makeRegister(), account);
  const first = await client.submitSigned(signed);
  assert.deepEqual(await client.submitSigned(signed), first);
  assert.equal(first.actionHash, await client.computeActionHash(signed));
});

test("a lost answer leaves the outcome open, and the same bytes close it", async () => {
  const account = newAccount();
  const hasty = new RollupClient({ url: liar.url, timeout: 2_000 });
  await hasty.getConfig();
  liar.lie("submitAction", "swallow");
  const error = await hasty.submit(makeRegister(), account).catch((thrown) => thrown);
  liar.repent();
  assert.ok(error instanceof OutcomeUnknown, String(error));
  assert.equal((await hasty.submitSigned(error.signed)).status, "executed");
  assert.equal(await client.getNonce(account.address), 1n);
});

test("a passkey's signature is one that can be taken, also of short scalars", async () => {
  const [passkey, hash] = [toWebAuthnAccount(await makePasskey()), `0x${"5a".repeat(32)}`];
  let asked = 0;
  const counted = { ...passkey, sign: (parameters) => ((asked += 1), passkey.sign(parameters)) };
  for (let signed = 0; signed < 3_000; signed += 1) await askPasskey(counted, hash);
  assert.ok(asked > 3_000, "one in 256 was read wrongly");
  const another = toWebAuthnAccount(await makePasskey());
  await assert.rejects(askPasskey({ ...passkey, publicKey: another.publicKey }, hash), UsageError);
});

test("what a passkey signs is what it was asked for, by a user who was verified", async () => {
  const hash = `0x${"5a".repeat(32)}`;
  const other = Buffer.alloc(32, 7).toString("base64url");
  const wrong = [{ challenge: other }, { challenge: undefined }, { type: "webauthn.create" }, { flags: 0 }, { flags: 1 }, { flags: 4 }];
  for (const told of [...wrong, { text: "null" }, { text: "[]" }, { text: "{" }, { text: "" }]) {
    let asked = 0;
    const passkey = toWebAuthnAccount(await makePasskey(told));
    const counted = { ...passkey, sign: (parameters) => ((asked += 1), passkey.sign(parameters)) };
    await assert.rejects(askPasskey(counted, hash), UsageError, JSON.stringify(told));
    assert.ok(asked <= 3, "it is read wrongly twice at most");
  }
  for (const told of [{ origin: "https://evil.example" }, { crossOrigin: true }, { flags: 0x1d }])
    await askPasskey(toWebAuthnAccount(await makePasskey(told)), hash);
  const honest = toWebAuthnAccount(await makePasskey());
  for (const publicKey of ["0x", `0x${"00".repeat(64)}`, `0x04${honest.publicKey.slice(2)}`, `${honest.publicKey.slice(0, -2)}`])
    await assert.rejects(askPasskey({ ...honest, publicKey }, hash), UsageError);
});

test("a passkey signs through viem's account", async () => {
  const passkey = toWebAuthnAccount(await makePasskey());
  const signer = toPasskeySigner(passkey);
  const ack = await client.submit(makeRegister(), signer);
  assert.equal(ack.status, "executed");
  assert.equal(await client.getNonce(signer.address), 1n);
});

test("a node that lies is caught", async () => {
  const cheated = new RollupClient({ url: liar.url });
  const account = newAccount();
  const first = await cheated.submit(makeRegister(), account);
  await cheated.wait(first, "C1");
  const [{ fields }] = await cheated.readEvents(first);
  const lies = [
    ["submitAction", (ack) => ({ ...ack, status: "rejected", reason: "no" })],
    ["submitAction", (ack) => ({ ...ack, events: [] })],
    ["submitAction", (ack) => ({ ...ack, height: Number(ack.height) + 1 })],
    ["submitAction", () => first],
    ["submitAction", (ack) => ({ ...ack, signature: `0x${"11".repeat(65)}` })],
  ];
  for (const [method, change] of lies) {
    liar.lie(method, change);
    await assert.rejects(cheated.submit(makeRegister(), account), BadAnswer, String(change));
    liar.repent();
  }
  const proofLies = [
    ["getProof", (proof) => ({ ...proof, exists: false })],
    ["getProof", (proof) => ({ ...proof, value: `${proof.value.slice(0, -2)}ff` })],
    ["getProof", (proof) => ({ ...proof, leaf: { ...proof.leaf, key: ONE } })],
    ["getProof", (proof) => ({ ...proof, siblings: proof.siblings.map(() => ONE) })],
    ["getHeader", (header) => ({ ...header, stateRoot: ONE })],
  ];
  for (const [method, change] of proofLies) {
    liar.lie(method, change);
    await assert.rejects(cheated.getProof("accounts", fields.key), BadAnswer, String(change));
    liar.repent();
  }
});

test("a node of another rollup, builder or domain is refused", async () => {
  const { domain } = await client.getConfig();
  for (const wrong of [{ rollupId: ONE }, { builder: newAccount().address }, { domain: { ...domain, chainId: 1n } }])
    await assert.rejects(new RollupClient({ url: node.url, ...wrong }).getConfig(), ForeignNode);
});

test("what cannot be an action is refused before it is signed, the rest by the node", async () => {
  const account = newAccount();
  await assert.rejects(client.submit({ type: "Nothing", message: {} }, account), UsageError);
  await assert.rejects(client.submit({ type: "Register", message: { codeHash: ONE } }, account), UsageError);
  const signed = await client.sign(makeRegister(), account);
  const other = { ...signed, message: { ...signed.message, salt: ONE } };
  await assert.rejects(client.submitSigned(other), (error) => error instanceof ActionRefused && error.refusal === "sender_mismatch");
});

test("receipts are followed from a cursor", async () => {
  const ack = await client.submit(makeRegister(), newAccount());
  for await (const { cursor, result } of client.follow("receipts", { from: Number(ack.seq) })) {
    assert.equal(cursor, Number(ack.seq));
    assert.equal(result.actionHash, ack.actionHash);
    break;
  }
});

test("types of an app make wrong calls errors of the compiler", async () => {
  const directory = await mkdtemp(join(root, "test-types-"));
  try {
    const app = execFileSync(process.execPath, [join(root, "dist/types-command.js"), node.url], { encoding: "utf8" });
    await writeFile(join(directory, "app.ts"), app);
    await writeFile(join(directory, "calls.ts"), CALLS);
    const tsc = createRequire(import.meta.url).resolve("typescript/bin/tsc");
    const options = ["--noEmit", "--strict", "--skipLibCheck", "--target", "es2022", "--module", "nodenext"];
    execFileSync(process.execPath, [tsc, ...options, join(directory, "calls.ts")], { stdio: "pipe" });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});

const CALLS = `
import type { Signer } from "../dist/index.js";
import { RollupClient } from "../dist/index.js";
import { app } from "./app.js";

export async function run(signer: Signer, word: \`0x\${string}\`) {
  const client = new RollupClient({ url: "http://127.0.0.1:1", app });
  await client.submit({ type: "Register", message: { codeHash: word, configHash: word, salt: word } }, signer);
  await client.getProof("accounts", word);
  // @ts-expect-error no such action
  await client.submit({ type: "Unregister", message: {} }, signer);
  // @ts-expect-error a member is missing
  await client.submit({ type: "Register", message: { codeHash: word, configHash: word } }, signer);
  // @ts-expect-error a member of another type
  await client.submit({ type: "Register", message: { codeHash: word, configHash: word, salt: 1n } }, signer);
  // @ts-expect-error no such field
  await client.getState("balances", word);
}
`;

test("the types of the methods are those of this node", () => {
  execFileSync(process.execPath, [join(root, "scripts/generate.mjs"), `${node.url}/openrpc.json`, "--check"], { stdio: "pipe" });
});
