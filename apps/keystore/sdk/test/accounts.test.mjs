// Accounts of viem's on a real chain, through a real bundler, with keys on a real keystore.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { createPublicClient, http, keccak256, stringToHex } from "viem";
import { createBundlerClient, toWebAuthnAccount } from "viem/account-abstraction";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import {
  KeystoreClient,
  ProofInvalid,
  computeAccountAddress,
  computeData,
  makeIdentity,
  toEcdsaSigner,
  toKeystoreSmartAccount,
  toMultisigSigner,
  toPasskeyAccountSigner,
} from "../dist/index.js";
import { makePasskey } from "../../../../microrollup/client/js/test/passkey.mjs";
import { startSite } from "./site.mjs";

const RECIPIENT = "0x00000000000000000000000000000000000a11ce";
const fees = { maxFeePerGas: 4n * 10n ** 9n, maxPriorityFeePerGas: 10n ** 9n };
let site, keystore, chain, deployment;

before(async () => {
  site = await startSite();
  keystore = new KeystoreClient({ url: site.node });
  const local = { id: site.chainId, name: "l2", nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 } };
  chain = createPublicClient({ chain: { ...local, rpcUrls: { default: { http: [site.chain] } } }, transport: http(site.chain) });
  deployment = { factory: site.factory, roots: site.roots };
  await register(toEcdsaSigner(newKey())); // so that the keystore has a root that is settled
  await site.command("mirror");
});
after(() => site.stop());

const newKey = () => privateKeyToAccount(generatePrivateKey());
const makeSalt = () => keccak256(generatePrivateKey());

/** Register a configuration under a new holder's key, settled. */
async function register(signer, holder = newKey()) {
  const salt = makeSalt();
  const ack = await keystore.register(signer.configuration, salt, holder);
  await keystore.wait(ack, "C3B");
  return { identity: makeIdentity(signer.configuration, holder.address, salt), holder };
}

const open = (identity, signer, options = {}) =>
  toKeystoreSmartAccount({ client: chain, keystore, deployment, identity, signer, ...options });

/** Have an operation estimated, signed, bundled and done; its receipt. */
async function send(account, calls = [{ to: RECIPIENT, value: 1n }]) {
  const bundler = createBundlerClient({ account, client: chain, transport: http(site.bundler) });
  const hash = await bundler.sendUserOperation({ calls, ...fees });
  await site.command("bundle");
  const receipt = await bundler.getUserOperationReceipt({ hash }); // `waitForUserOperationReceipt` leaves a timer behind
  assert.equal(receipt.success, true);
  return receipt;
}

async function fund(account) {
  await site.command("fund", account.address);
}

const owners = [newKey(), newKey(), newKey()];
const SIGNERS = {
  ecdsa: async () => toEcdsaSigner(newKey()),
  multisig: async () => toMultisigSigner(2, owners.map(({ address }) => address), [owners[2], owners[0]]),
  passkey: async () => toPasskeyAccountSigner(toWebAuthnAccount(await makePasskey())),
};

for (const [kind, makeSigner] of Object.entries(SIGNERS)) {
  test(`${kind}: an account that nobody registered is deployed by its first operation`, async () => {
    const signer = await makeSigner();
    const identity = makeIdentity(signer.configuration, newKey().address, makeSalt());
    const account = await open(identity, signer);
    assert.equal(account.address, computeAccountAddress(site.factory, identity.key));
    await fund(account);
    const before_ = await chain.getBalance({ address: RECIPIENT });
    await send(account, [{ to: RECIPIENT, value: 2n }, { to: RECIPIENT, value: 3n }]); // prettier-ignore
    assert.equal(await chain.getBalance({ address: RECIPIENT }), before_ + 5n);
    assert.equal(await account.isDeployed(), true);
  });
}

test("a registered account remembers its configuration, and needs no proof afterwards", async () => {
  const signer = await SIGNERS.passkey();
  const { identity } = await register(signer);
  await site.command("mirror");
  const account = await open(identity, signer, { remember: true });
  await fund(account);
  assert.equal((await account.open()).mode, 0x80);
  await send(account);
  assert.equal((await account.open()).mode, 2);
  await send(account);
});

test("a rotation on the keystore changes who signs; the retired key ends with the push", async () => {
  const first = await SIGNERS.ecdsa();
  const { identity, holder } = await register(first);
  await site.command("mirror");
  const account = await open(identity, first);
  await fund(account);
  await send(account);

  const next = await SIGNERS.passkey();
  const ack = await keystore.update(identity.key, next.configuration, holder);
  assert.equal(ack.status, "executed");
  await keystore.wait(ack, "C3B");
  await site.command("mirror");
  await site.command("push", account.address);
  await send(await open(identity, next));
  await assert.rejects(account.open(), ProofInvalid);
});

test("messages and typed data are signed as ERC-1271 and ERC-7739 want it", async () => {
  const signer = await SIGNERS.ecdsa();
  const { identity } = await register(signer);
  await site.command("mirror");
  const account = await open(identity, signer);
  await fund(account);
  await send(account);
  const { address } = account;
  const message = "let me in";
  const signature = await account.signMessage({ message });
  assert.equal(await chain.verifyMessage({ address, message, signature }), true);
  assert.equal(await chain.verifyMessage({ address, message: "let her in", signature }), false);
  const typedData = {
    domain: { name: "Shop", version: "1", chainId: site.chainId, verifyingContract: RECIPIENT },
    types: { Order: [{ name: "item", type: "string" }, { name: "amount", type: "uint256" }] }, // prettier-ignore
    primaryType: "Order",
    message: { item: "bread", amount: 2n },
  };
  const signed = await account.signTypedData(typedData);
  assert.equal(await chain.verifyTypedData({ address, signature: signed, ...typedData }), true);
  const other = { ...typedData, message: { item: "bread", amount: 3n } };
  assert.equal(await chain.verifyTypedData({ address, signature: signed, ...other }), false);
});

test("a holder finds the accounts that it may change", async () => {
  const signer = await SIGNERS.passkey();
  const { identity, holder } = await register(signer);
  assert.deepEqual(await keystore.accountsOf(holder.address), [
    { key: identity.key, data: computeData(signer.configuration), vk: holder.address.toLowerCase() },
  ]);
  assert.deepEqual(await keystore.accountsOf(newKey().address), []);
});

test("an update is signed for the inbox, so that a stranger may carry it", async () => {
  const { identity, holder } = await register(await SIGNERS.ecdsa());
  const next = await SIGNERS.passkey();
  const { signed, payload } = await keystore.signUpdateForL1(identity.key, next.configuration, holder);
  assert.equal(payload.slice(0, 4), "0x01");
  assert.ok(payload.includes(stringToHex("Update").slice(2)));
  assert.equal((await keystore.submitSigned(signed)).status, "executed");
});

test("what was generated is what the contracts and the node say", () => {
  const script = fileURLToPath(new URL("../scripts/generate.mjs", import.meta.url));
  execFileSync(process.execPath, [script, site.node, "--check"], { stdio: "pipe" });
});

