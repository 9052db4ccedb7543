// What a user of Axiom's keystore does with its SDK on L1: pay in, send through L1, take out.
//
// stdin:  {"url", "l1Url", "bridge", "secret", "prove": [command]}   `secret` pays on L1
// stdout: {"paid", "methods"}

import { strict as assert } from "node:assert";
import { text } from "node:stream/consumers";
import { setTimeout } from "node:timers/promises";
import { createWalletClient, http, pad, parseAbi, publicActions } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { foundry } from "viem/chains";
import { authorize, called, connect, makeWallet, proveLocally, rotate, sdk } from "./axiom_common.mjs";

const given = JSON.parse(await text(process.stdin));
const { node, prover, urls } = connect(given.url);
const { BlockTransactionsKind: Kind, TransactionStatus: Status, TransactionType: Type } = sdk;
const bridgeAddress = given.bridge;
const l1 = createWalletClient({
  account: privateKeyToAccount(given.secret), chain: foundry, transport: http(given.l1Url), pollingInterval: 100,
})
  .extend(publicActions)
  .extend(sdk.publicActionsL1())
  .extend(sdk.walletActionsL1());
const abi = parseAbi([
  "function outputRootAt(uint256 batchIndex) view returns (bytes32)",
  "function latestOutputRoot() view returns (bytes32)",
]);

const bridge = { address: bridgeAddress, abi };
const salt = pad("0x02", { size: 32 });
const user = makeWallet(1, [71, 72], salt, node);
const next = makeWallet(2, [81, 82], salt, node);
const to = `0x${"7a".repeat(20)}`;
const AMOUNT = 10n ** 18n;

async function confirm(hash) {
  const receipt = await l1.waitForTransactionReceipt({ hash });
  assert.equal(receipt.status, "success");
  return receipt;
}

// Through L1: by the hash that the bridge's event says, the node finds what came of it.
async function initiate(txClient) {
  const receipt = await confirm(await l1.initiateL1Transaction({ bridgeAddress, txClient }));
  const [hash] = sdk.getL2TransactionHashes(receipt);
  const found = await node.waitForTransactionReceipt({ hash });
  assert.notEqual(found.status, Status.Failed);
  return { hash, receipt: found };
}

// Somebody records each batch that settles; until then the bridge knows no output root.
async function waitForRoot(batchIndex) {
  for (let tries = 0; tries < 400; tries += 1) {
    const root = await l1.readContract({ ...bridge, functionName: "outputRootAt", args: [batchIndex] });
    if (BigInt(root) !== 0n) return root;
    await setTimeout(100);
  }
  throw new Error(`batch ${batchIndex} was not recorded`);
}

const prove = async (wallet, transaction) =>
  proveLocally(given.prove, await authorize(wallet, transaction), transaction.userAcct, transaction.userMsgHash());

const before = await l1.l1BatchCount({ bridgeAddress });
const deposit = await sdk.createDepositTransactionClient({ keystoreAddress: user.account.address, amt: AMOUNT });
const paidIn = await initiate(deposit);
assert.equal(paidIn.receipt.amount, AMOUNT);
assert.equal((await node.getTransactionByHash({ hash: paidIn.hash })).type, Type.Deposit);
assert.equal(await user.account.getBalance(), AMOUNT);
assert.equal(await l1.l1BatchCount({ bridgeAddress }), before + 1n);

// An UPDATE and a WITHDRAW that begin on L1 cost nothing on the rollup.
const fromL1 = { userAcct: user.account, isL1Initiated: true, feePerGas: 3n, ...urls };
const changed = { ...fromL1, newUserData: next.keyData, newUserVkey: prover.vkey };
const update = await sdk.createUpdateTransactionClient(changed);
const updated = await initiate(
  await sdk.createUpdateTransactionClient({ ...changed, userProof: await prove(user, update) }),
);
assert.deepEqual([updated.receipt.gasPrice, updated.receipt.l1DataFee], [0n, 0n]);
const seen = await node.getTransactionByHash({ hash: updated.hash });
assert.deepEqual([seen.isL1Initiated, seen.l1InitiatedNonce, seen.newUserData], [true, before + 1n, next.keyData]);
const now = rotate(user, next, node);
const leaving = { ...fromL1, userAcct: now.account, to, amt: 11n };
const half = await sdk.createWithdrawTransactionClient(leaving);
const withdrawn = await initiate(
  await sdk.createWithdrawTransactionClient({ ...leaving, userProof: await prove(now, half) }),
);
assert.equal(await user.account.getBalance(), AMOUNT - 11n);

// Another WITHDRAW, sent to the node; both are finalized on L1, and neither twice.
const own = await sdk.createWithdrawTransactionClient({ userAcct: now.account, to, amt: 31n, ...urls });
const authInputs = await authorize(now, own);
const hash = await prover.authenticateTransaction({ transaction: own.toBytes(), authInputs });
const data = await prover.waitForAuthentication({ hash });
const sent = await sdk.createSequencerClient({ url: given.url, pollingIntervalMs: 100 }).sendRawTransaction({ data });
await node.waitForTransactionFinalization({ hash: sent });
for (const transactionHash of [withdrawn.hash, sent]) {
  await node.waitForTransactionFinalization({ hash: transactionHash });
  const finish = await node.buildFinalizeWithdrawalArgs({ transactionHash });
  const outputRoot = await waitForRoot(finish.batchIndex);
  const block = sdk.createL2BlockClient(await node.getBlockByNumber({ block: finish.batchIndex, txKind: Kind.Hashes }));
  assert.equal(outputRoot, block.outputRoot());
  assert.equal(await l1.readContract({ ...bridge, functionName: "latestOutputRoot" }), outputRoot);
  assert.equal(await node.getBlockNumberByOutputRoot({ outputRoot }), finish.batchIndex);
  await confirm(await l1.finalizeWithdrawal({ bridgeAddress, ...finish }));
  await assert.rejects(l1.finalizeWithdrawal({ bridgeAddress, ...finish }), /WithdrawalAlreadyClaimed|reverted/);
}
const paid = await l1.getBalance({ address: to });
process.stdout.write(JSON.stringify({ paid: paid.toString(), methods: [...called].sort() }));
