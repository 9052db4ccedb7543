// Everything that a user of Axiom's keystore does with its SDK, against one node.
//
// stdin:  {"url", "prove": [command], "deposits": {name: hash}, "amount"}   of each wallet but `next` and `generous`
// stdout: {"methods": [...], "hashes": {name: hash}}

import { strict as assert } from "node:assert";
import { text } from "node:stream/consumers";
import { concat, keccak256, pad } from "viem";
import {
  CODE_HASH, authorize, authorizeSponsor, called, connect, fold, hashSponsor, makeBareProof, makeWallet, proveLocally,
  rotate, sdk,
} from "./axiom_common.mjs";

const given = JSON.parse(await text(process.stdin));
const { node, sequencer, prover, urls } = connect(given.url);
const { BatchTag, BlockTag, BlockTransactionsKind: Kind, TransactionStatus: Status, TransactionType: Type } = sdk;
const salt = pad("0x01", { size: 32 });
const hashes = {};

const ann = makeWallet(2, [1, 2, 3], salt, node);
const bob = makeWallet(1, [11], salt, node);
const carol = makeWallet(1, [21, 22], salt, node);
const next = makeWallet(1, [31], salt, node);
const payer = makeWallet(1, [51], salt, node);
const generous = makeWallet(0, [61], salt, node);
const open = makeWallet(0, [], salt, node, pad("0x", { size: 32 })); // with which the prover itself sponsors

async function send(name, data) {
  const hash = await sequencer.sendRawTransaction({ data });
  assert.equal(hash, keccak256(data));
  hashes[name] = hash;
  const receipt = await sequencer.waitForTransactionReceipt({ hash });
  assert.equal(receipt.transactionHash, hash);
  assert.notEqual(receipt.status, Status.Failed);
  await assert.rejects(sequencer.sendRawTransaction({ data }), "a replay");
  return receipt;
}

const update = (wallet, more) =>
  sdk.createUpdateTransactionClient({
    newUserData: next.keyData, newUserVkey: prover.vkey, userAcct: wallet.account, ...urls, ...more,
  });
const withdraw = (wallet, more) =>
  sdk.createWithdrawTransactionClient({ to: `0x${"70".repeat(20)}`, userAcct: wallet.account, ...urls, ...more });

// Fund: the deposits come in.

for (const hash of Object.values(given.deposits)) {
  const receipt = await sequencer.waitForTransactionReceipt({ hash });
  assert.equal(receipt.amount, BigInt(given.amount));
  const transaction = await node.getTransactionByHash({ hash });
  assert.equal(transaction.type, Type.Deposit);
  assert.equal(transaction.amt, BigInt(given.amount));
  assert.equal((await sdk.createDepositTransactionClient(transaction)).txHash(), hash);
}
for (const wallet of [ann, bob, carol, payer, open]) {
  assert.equal(await wallet.account.getBalance(), BigInt(given.amount));
  assert.equal(await wallet.account.getNonce(), 0n);
  assert.equal((await wallet.account.getState()).data, "0x");
}

// Update, proven by the prover.

const first = await update(ann);
const inputs = await authorize(ann, first);
assert.equal(inputs.keyData, ann.keyData);
assert.equal(prover.dataHash({ codehash: CODE_HASH, m: 2n, signersList: ann.signersList }), ann.account.dataHash);
for (const proof of ["0x", makeBareProof(ann.account.dataHash, first.userMsgHash())]) {
  const bare = await update(ann, { userProof: proof });
  await assert.rejects(sequencer.sendRawTransaction({ data: bare.toBytes() }), /witness/);
}
const request = await prover.authenticateTransaction({ transaction: first.toBytes(), authInputs: inputs });
assert.equal(request, await prover.authenticateTransaction({ transaction: first.toBytes(), authInputs: inputs }));
const proven = await prover.waitForAuthentication({ hash: request });
assert.deepEqual(await node.call({ transaction: proven }).then(({ success }) => success), true);
assert.equal(await sequencer.estimateGas({ txData: proven }), 100_000n);
assert.equal(await sequencer.estimateL1DataFee({ txData: proven }), 0n);
assert.equal(await sequencer.gasPrice(), 0n);
const receipt = await send("update", proven);
assert.deepEqual([receipt.gas, receipt.gasPrice, receipt.l1DataFee], [100_000n, 0n, 0n]);
assert.equal((await node.getStateAt({ address: ann.account.address })).data, next.keyData);

// Update, proven by the client itself; then a stale nonce, and the keys of before.

const annNow = rotate(ann, next, node);
const second = await update(annNow);
assert.equal(second.nonce, 1n);
const prove = async (wallet, transaction) =>
  proveLocally(given.prove, await authorize(wallet, transaction), transaction.userAcct, transaction.userMsgHash());
const userProof = await prove(annNow, second);
await send("client's own proof", (await update(annNow, { userProof, nonce: 1n })).toBytes());
for (const [wallet, nonce] of [[annNow, 0n], [annNow, 7n], [ann, 2n]]) {
  const stale = await update(wallet, { nonce });
  const inputs = await authorize(wallet, stale);
  const hash = await prover.authenticateTransaction({ transaction: stale.toBytes(), authInputs: inputs });
  const data = await prover.waitForAuthentication({ hash });
  await assert.rejects(sequencer.sendRawTransaction({ data }), /nonce|current data/);
}

// A sponsor pays: three ways, and each kind of sponsor.

async function sponsored(name, wallet, sponsor, authInputs) {
  const transaction = await update(wallet, { sponsorAcct: sponsor.account });
  const sponsoredAuthInputs = await authInputs(transaction);
  const given = { transaction: transaction.toBytes(), sponsoredAuthInputs };
  const hash = await prover.authenticateSponsoredTransaction(given);
  assert.equal(hash, await prover.authenticateSponsoredTransaction(given));
  const data = await prover.waitForSponsoredAuthentication({ hash });
  if (name !== undefined) await send(name, data);
  return data;
}
await sponsored("both proven", bob, payer, async (transaction) => ({
  userAuthInputs: await authorize(bob, transaction),
  sponsorAuthInputs: await authorizeSponsor(payer, transaction),
}));
const bobNow = rotate(bob, next, node);
await sponsored("only the sponsor proven", bobNow, payer, async (transaction) => ({
  userProof: await prove(bobNow, transaction),
  sponsorAuthInputs: await authorizeSponsor(payer, transaction),
}));
await sponsored("sponsored by the prover", bobNow, open, async (transaction) => ({
  userAuthInputs: await authorize(bobNow, transaction),
}));
await sponsored("sponsored by nobody's signature", bobNow, generous, async (transaction) => ({
  userAuthInputs: await authorize(bobNow, transaction),
  sponsorAuthInputs: await authorizeSponsor(generous, transaction),
}));
const bareUser = await sponsored(undefined, bobNow, payer, async (transaction) => ({
  userProof: makeBareProof(bobNow.account.dataHash, transaction.userMsgHash()),
  sponsorAuthInputs: await authorizeSponsor(payer, transaction),
}));
await assert.rejects(sequencer.sendRawTransaction({ data: bareUser }), /witness/);
const half = await update(bobNow, { sponsorAcct: payer.account });
const bareSponsor = await update(bobNow, {
  sponsorAcct: payer.account,
  userProof: await prove(bobNow, half),
  sponsorProof: makeBareProof(payer.account.dataHash, hashSponsor(payer, half)),
});
await assert.rejects(sequencer.sendRawTransaction({ data: bareSponsor.toBytes() }), /witness/);

// Withdraw, twice, from an account that was never updated.

for (const [name, amt] of [["withdrawal", 5n], ["second withdrawal", 7n]]) {
  const transaction = await withdraw(carol, { amt });
  const userProof = makeBareProof(carol.account.dataHash, transaction.userMsgHash());
  const bare = await withdraw(carol, { amt, userProof });
  await assert.rejects(sequencer.sendRawTransaction({ data: bare.toBytes() }), /witness/);
  const authInputs = await authorize(carol, transaction);
  const hash = await prover.authenticateTransaction({ transaction: transaction.toBytes(), authInputs });
  const sent = await send(name, await prover.waitForAuthentication({ hash }));
  assert.equal(sent.amount, amt);
  const withdrawalHash = transaction.withdrawalHash();
  const found = await node.getWithdrawalProof({ withdrawalHash, block: sent.blockNumber });
  const block = await node.getBlockByNumber({ block: sent.blockNumber, txKind: Kind.Hashes });
  assert.deepEqual([found.amt, fold(found.proof)], [amt, block.withdrawalsRoot]);
  const final = await node.waitForTransactionFinalization({ hash: sent.transactionHash });
  assert.equal(final.status, Status.L2FinalizedL1Finalized);
  const finish = await node.buildFinalizeWithdrawalArgs({ transactionHash: sent.transactionHash });
  const preimage = finish.outputRootPreimage;
  const last = await node.getBlockByHash({ hash: preimage.lastValidBlockhash, txKind: Kind.Hashes });
  assert.deepEqual([last.number, last.stateRoot], [finish.batchIndex, preimage.stateRoot]);
  assert.equal(finish.withdrawalArgs.withdrawalAmount, amt);
}

// Every read.

const status = await node.syncStatus();
assert(status.finalizedL2.number <= status.committedL2.number);
assert(status.committedL2.number <= status.preconfirmedL2.number);
const tip = await node.blockNumber();
for (let number = 0n; number <= tip; number += 1n) {
  const tagged = number === 0n ? BlockTag.Earliest : number; // the SDK sends 0n as "latest"
  const block = sdk.createL2BlockClient(await node.getBlockByNumber({ block: tagged, txKind: Kind.Full }));
  assert.equal(block.number, number);
  const { transactions, ...rest } = await node.getBlockByHash({ hash: block.hash, txKind: Kind.Hashes });
  assert.deepEqual(transactions, block.transactions.map(({ hash }) => hash));
  assert.equal(rest.stateRoot, block.stateRoot);
  assert.equal(await node.getBlockNumberByOutputRoot({ outputRoot: block.outputRoot() }), number);
  assert((await node.getBlockNumberByStateRoot({ stateRoot: block.stateRoot })) >= number);
  if (number > 0n) {
    const parent = await node.getBlockByHash({ hash: block.parentHash, txKind: Kind.Hashes });
    assert.equal(parent.number, number - 1n);
    assert.equal((await node.getBatchByIndex({ batch: number })).lastBlockNumber, number);
  }
  for (const transaction of block.transactions) {
    const found = await node.getTransactionByHash({ hash: transaction.hash });
    assert.equal(JSON.stringify(found, show), JSON.stringify(transaction, show));
    if (transaction.type === Type.Update) {
      const again = await sdk.createUpdateTransactionClient({ ...transaction, ...urls });
      assert.equal(again.txHash(), transaction.hash);
    }
    if (transaction.type === Type.Withdraw) {
      const again = await sdk.createWithdrawTransactionClient({ ...transaction, ...urls });
      assert.equal(again.txHash(), transaction.hash);
    }
  }
}
for (const tag of Object.values(BatchTag)) assert((await node.getBatchByIndex({ batch: tag })).lastBlockNumber <= tip);
for (const block of Object.values(BlockTag)) {
  assert((await node.getBlockByNumber({ block, txKind: Kind.Hashes })).number <= tip);
}
const latest = await node.getBlockByNumber({ block: BlockTag.Latest, txKind: Kind.Hashes });
for (const wallet of [ann, bob, carol, payer, generous, open, next]) {
  const { state, proof } = await node.getProof({ address: wallet.account.address });
  assert.equal(fold(proof), latest.stateRoot);
  if (!proof.isExclusionProof) assert.equal(concat([state.dataHash, state.vkeyHash]), proof.leaf.value);
}
assert.equal(await node.getTransactionCount({ address: bob.account.address }), 4n);
for (const hash of [pad("0x", { size: 32 })]) {
  await assert.rejects(node.getTransactionByHash({ hash }));
  await assert.rejects(node.getTransactionReceipt({ hash }));
  await assert.rejects(node.getBlockByHash({ hash, txKind: Kind.Hashes }));
  assert.equal(await prover.getAuthenticationStatus({ requestHash: hash }), null);
  assert.equal(await prover.getSponsoredAuthenticationStatus({ requestHash: hash }), null);
}

function show(_, value) {
  return typeof value === "bigint" ? value.toString() : value;
}

process.stdout.write(JSON.stringify({ methods: [...called].sort(), hashes }));
