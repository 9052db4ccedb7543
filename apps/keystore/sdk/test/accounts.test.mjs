// Accounts of viem's on a real chain, through a real bundler, with keys on a real keystore.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createPublicClient, createWalletClient, http, keccak256, stringToHex, zeroAddress } from "viem";
import { createBundlerClient, getUserOperationHash, toWebAuthnAccount } from "viem/account-abstraction";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import {
  CACHED,
  CAUSES,
  KeystoreClient,
  NotDelegated,
  ProofInvalid,
  StaleRoot,
  UsageError,
  computeAccountAddress,
  computeData,
  delegateToKeystore,
  encodeSetKey,
  encodeSignature,
  explain,
  makeIdentity,
  makeSetKey,
  openShown,
  pushRoot,
  readDelegate,
  readKeySequence,
  toEcdsaSigner,
  toKeystoreEoaAccount,
  toKeystoreSmartAccount,
  toMultisigSigner,
  toPasskeyAccountSigner,
  toPasskeySigner,
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
  deployment = { factory: site.factory, roots: site.roots, delegate: site.delegate };
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

/** Have an operation estimated, signed, bundled and done. */
async function send(account, calls = [{ to: RECIPIENT, value: 1n }]) {
  const bundler = createBundlerClient({ account, client: chain, transport: http(site.bundler) });
  const hash = await bundler.sendUserOperation({ calls, ...fees });
  await site.command("bundle");
  for (;;) {
    const receipt = await bundler.getUserOperationReceipt({ hash }).catch(() => null); // viem's waiting leaves a timer behind
    if (receipt === null) await new Promise((resolve) => setTimeout(resolve, 100));
    else return assert.equal(receipt.success, true);
  }
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

test("a passkey's update for the inbox is to the byte what the rollup reads", async () => {
  const passkey = toPasskeySigner(toWebAuthnAccount(await makePasskey()));
  const { identity } = await register(await SIGNERS.ecdsa(), passkey);
  const { configuration } = await SIGNERS.passkey();
  const { payload } = await keystore.signUpdateForL1(identity.key, configuration, passkey);
  const { answer } = await site.command("decode", payload);
  const members = [identity.key, configuration.codeHash, keccak256(configuration.config), passkey.address];
  assert.deepEqual(answer, { type: "Update", members, nonce: 1, sender: passkey.address, payload });
});

/** An account's next operation, its hash, and `encode`: the operation with a validator's signature. */
async function prepare(identity, signer) {
  const account = await open(identity, signer);
  await fund(account);
  const operation = {
    sender: account.address,
    nonce: await account.getNonce(),
    callData: await account.encodeCalls([{ to: RECIPIENT, value: 1n }]),
    callGasLimit: 100_000n,
    verificationGasLimit: 2_000_000n,
    preVerificationGas: 100_000n,
    ...fees,
    ...((await account.isDeployed()) ? {} : await account.getFactoryArgs()),
  };
  const hashFor = (chainId) =>
    getUserOperationHash({
      chainId,
      entryPointAddress: account.entryPoint.address,
      entryPointVersion: "0.8",
      userOperation: operation,
    });
  const opening = await account.open();
  const encode = (signature, shown = opening) => ({
    ...operation,
    signature: encodeSignature(signer.configuration, shown, signature),
  });
  return { account, operation, hashFor, hash: hashFor(site.chainId), encode };
}

async function check(operation, cause, options = {}) {
  const found = await explain(operation, chain, options);
  assert.equal(found.cause, cause, found.what);
  assert.ok(found.cause in CAUSES && found.what !== "" && found.remedy !== "");
}

test("explain: what is wrong with the bytes, and who signed what", async () => {
  const [keys, holder] = [[newKey(), newKey()], newKey()];
  const ecdsa = toEcdsaSigner(keys[0]);
  const multisig = toMultisigSigner(2, keys.map(({ address }) => address), keys); // prettier-ignore
  const webauthn = toPasskeyAccountSigner(toWebAuthnAccount(await makePasskey()), { precompile: false });
  const identities = [];
  for (const signer of [ecdsa, multisig, webauthn]) identities.push((await register(signer, holder)).identity);
  await site.command("mirror");

  const { encode, operation, hash, hashFor } = await prepare(identities[0], ecdsa);
  const right = await ecdsa.sign(hash);
  await check(encode(right), "taken");
  await check(encode(await toEcdsaSigner(keys[1]).sign(hash)), "wrong_key");
  await check(encode(`${right}00`), "signature_form");
  await check(encode(await keys[0].signMessage({ message: { raw: hash } })), "signed_as_text");
  await check(encode(await ecdsa.sign(hashFor(4_242))), "other_chain", { chainIds: [4_242] });
  await check(encode(right, CACHED), "not_remembered");
  const whole = encode(right).signature;
  for (const end of [2, 4, 62, 162]) await check({ ...operation, signature: whole.slice(0, end) }, "malformed");
  await check({ ...operation, signature: `0x05${whole.slice(4)}` }, "unknown_mode");
  await check({ ...operation, signature: whole.slice(0, -2) }, "malformed_proof");
  await check({ ...operation, signature: `0x01${whole.slice(4)}` }, "not_first_configuration");
  await check({ ...encode(right), sender: RECIPIENT, factory: undefined }, "no_account");
  const nobodys = { codeHash: keccak256("0x00"), config: "0x" };
  const missing = await prepare(makeIdentity(nobodys, holder.address, makeSalt()), { configuration: nobodys });
  await check(missing.encode("0x"), "no_validator");

  const several = await prepare(identities[1], multisig);
  const both = await multisig.sign(several.hash);
  await check(several.encode(both), "taken");
  await check(several.encode(`0x${both.slice(132)}${both.slice(2, 132)}`), "signer_order");
  await check(several.encode(both.slice(0, 132)), "signature_form");

  const passkey = await prepare(identities[2], webauthn);
  const signature = await webauthn.sign(passkey.hash);
  await check(passkey.encode(signature), "taken");
  await check(passkey.encode(await webauthn.sign(hash)), "other_challenge");
  const flagsAt = 2 + 2 * (2 + 32);
  const absent = `${signature.slice(0, flagsAt)}01${signature.slice(flagsAt + 2)}`;
  await check(passkey.encode(absent), "user_not_verified");
  await check(passkey.encode(await (await SIGNERS.passkey()).sign(passkey.hash)), "wrong_key");
});

test("explain: which root the chain has, and what the keystore holds", async () => {
  const [first, next] = [await SIGNERS.ecdsa(), await SIGNERS.ecdsa()];
  const { identity, holder } = await register(first);
  await site.command("mirror");
  const account = await open(identity, first);
  await fund(account);
  await send(account); // from here it goes by its own copy of the root
  const { operation } = await prepare(identity, first);
  await register(await SIGNERS.ecdsa()); // between, or the proof with the old value would lead to the root before
  await keystore.wait(await keystore.update(identity.key, next.configuration, holder), "C3B");
  const shown = await keystore.prove(identity.key);
  const opening = openShown(shown, next.configuration, identity);
  const sign = ({ configuration }) => ({ ...operation, signature: encodeSignature(configuration, opening, "0x") });
  await check(sign(next), "unknown_root");
  await check(sign(first), "unknown_root");
  await check(sign(first), "other_configuration", { shown });
  await site.command("mirror");
  await check(sign(next), "not_pushed");
  await assert.rejects(explain(sign(first), chain, { shown: { ...shown, treeKey: identity.key } }), UsageError);
});

/** A client of the chain that pays with an EOA's ether. */
async function payWith(account) {
  await fund(account);
  return createWalletClient({ account, chain: chain.chain, transport: http(site.chain) });
}

for (const [who, makePayer] of Object.entries({ "a stranger": () => newKey(), "the EOA": (eoa) => eoa })) // prettier-ignore
  test(`an EOA keeps its address and takes its keys from the keystore; ${who} pays`, async () => {
    const [eoa, signer] = [newKey(), await SIGNERS.passkey()];
    const { identity, holder } = await register(signer);
    await site.command("mirror");
    const options = { client: chain, keystore, deployment, identity, signer, address: eoa.address };
    const account = await toKeystoreEoaAccount({ ...options, remember: true });
    assert.equal(account.address, eoa.address);
    for (const use of [() => account.open(), () => account.signMessage({ message: "early" }), () => account.getFactoryArgs()])
      await assert.rejects(use(), NotDelegated);
    const client = await payWith(makePayer(eoa));
    await delegateToKeystore({ client, eoa, deployment, key: identity.key });
    assert.equal((await readDelegate(chain, eoa.address)).toLowerCase(), site.delegate);
    assert.equal(await readKeySequence(chain, eoa.address, site.delegate), 1n);

    await fund(account);
    assert.equal((await account.open()).mode, 0x80);
    await send(account);
    assert.equal((await account.open()).mode, 2);
    await send(account, [{ to: RECIPIENT, value: 2n }, { to: RECIPIENT, value: 3n }]); // prettier-ignore
    const [address, message] = [eoa.address, "let me in"];
    const signature = await account.signMessage({ message });
    assert.equal(await chain.verifyMessage({ address, message, signature }), true);
    assert.equal(await chain.verifyMessage({ address, message: "let her in", signature }), false);

    const next = await SIGNERS.ecdsa();
    await keystore.wait(await keystore.update(identity.key, next.configuration, holder), "C3B");
    await site.command("mirror");
    await pushRoot(client, eoa.address);
    await assert.rejects(account.open(), ProofInvalid);
    const rotated = await toKeystoreEoaAccount({ ...options, signer: next });
    await send(rotated);
    const own = await toKeystoreEoaAccount({ ...options, signer: { ...next, sign: toEcdsaSigner(eoa).sign } });
    await assert.rejects(send(own), /AA24/);
  });

test("an EOA that delegates elsewhere, has no key yet, or lives by another one", async () => {
  const [eoa, signer] = [newKey(), await SIGNERS.ecdsa()];
  const { identity } = await register(signer);
  await site.command("mirror");
  const client = await payWith(eoa);
  const delegateTo = async (contractAddress) => {
    const authorization = await client.signAuthorization({ account: eoa, contractAddress, executor: "self" });
    const hash = await client.sendTransaction({ to: RECIPIENT, authorizationList: [authorization] });
    await chain.waitForTransactionReceipt({ hash });
  };
  const account = await toKeystoreEoaAccount({ client: chain, keystore, deployment, identity, signer, address: eoa.address });
  const operation = { ...(await prepare(identity, signer)).operation, sender: eoa.address, factory: undefined, factoryData: undefined, signature: "0x02" }; // prettier-ignore
  const marked = { ...operation, factory: "0x7702", factoryData: "0x" };
  await check(marked, "no_account");
  await delegateTo(site.roots);
  await assert.rejects(account.open(), /delegates to/);
  await check(operation, "no_account");
  await delegateTo(site.delegate);
  await assert.rejects(account.open(), /lives by the key 0x0{64}/);
  await check(operation, "no_account");
  await delegateToKeystore({ client, eoa, deployment, key: identity.key });
  await delegateToKeystore({ client, eoa, deployment, key: identity.key }); // once more, with the next sequence
  assert.equal(await readKeySequence(chain, eoa.address, site.delegate), 2n);
  const hash = getUserOperationHash({
    chainId: site.chainId, entryPointAddress: account.entryPoint.address, entryPointVersion: "0.8",
    userOperation: { ...marked, authorization: { address: site.delegate } },
  }); // prettier-ignore
  const encode = async (digest) => encodeSignature(signer.configuration, await account.open(), await signer.sign(digest));
  await check({ ...marked, signature: await encode(hash) }, "taken");
  await check({ ...marked, signature: await encode(keccak256(hash)) }, "wrong_key");
  await delegateTo(zeroAddress);
  await assert.rejects(account.open(), NotDelegated);
  const other = await toKeystoreEoaAccount({ client: chain, keystore, deployment: { ...deployment, delegate: undefined }, identity, signer, address: eoa.address });
  await assert.rejects(other.open(), UsageError);
});

test("an account whose delegate has no root yet says what to do", async () => {
  const [eoa, signer] = [newKey(), await SIGNERS.ecdsa()];
  const { identity } = await register(signer);
  const client = await payWith(eoa);
  const sequence = 1n;
  const signature = await eoa.signTypedData(makeSetKey(eoa.address, site.delegate, identity.key, sequence, site.chainId));
  const authorization = await client.signAuthorization({ account: eoa, contractAddress: site.delegate, executor: "self" });
  const data = encodeSetKey(identity.key, sequence, signature);
  const hash = await client.sendTransaction({ to: eoa.address, data, authorizationList: [authorization] });
  await chain.waitForTransactionReceipt({ hash });
  const account = await toKeystoreEoaAccount({ client: chain, keystore, deployment, identity, signer, address: eoa.address });
  await assert.rejects(account.open(), StaleRoot);
});
