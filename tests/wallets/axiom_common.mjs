// What the scripts that drive Axiom's SDK share: the SDK as it was published, its clients of one node, and the calls that
// went over the wire.

import { register } from "node:module";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { strict as assert } from "node:assert";
import { concat, hashTypedData, keccak256, numberToHex, pad } from "viem";
import { privateKeyToAccount } from "viem/accounts";

register("./axiom_loader.mjs", import.meta.url);
export const sdk = await import("@axiom-crypto/keystore-sdk");

console.log = () => {}; // the SDK tells its progress there, and standard output is for the result

const fetched = globalThis.fetch;
export const called = new Set();
globalThis.fetch = async (url, options) => {
  const { id, method, params } = JSON.parse(options.body);
  if (!method?.startsWith("keystore_")) return fetched(url, options);
  assert(Array.isArray(params) && typeof id === "string");
  called.add(method);
  const response = await fetched(url, options);
  const answer = await response.clone().json();
  assert.equal(response.status, 200);
  assert.equal(answer.id, id);
  return response;
};

export const CODE_HASH = `0x${"0c".repeat(32)}`;
export const secret = (number) => numberToHex(number, { size: 32 });
export const address = (number) => privateKeyToAccount(secret(number)).address;

const polling = { pollingIntervalMs: 100, pollingRetries: 400 };

export function connect(url) {
  return {
    node: sdk.createNodeClient({ url, ...polling }),
    sequencer: sdk.createSequencerClient({ url, ...polling }),
    prover: sdk.createSignatureProverClient({ url, ...polling, ...sdk.MOfNSignatureProver }),
    urls: { nodeClientUrl: url, sequencerClientUrl: url },
  };
}

// An m-of-n account that was never changed; `signers` are all keys, the first `m` of them sign.
export function makeWallet(m, signers, salt, nodeClient, codehash = CODE_HASH) {
  const signersList = signers.map(address);
  const keyData = sdk.keyDataEncoder({ codehash, m: BigInt(m), signersList });
  const vkey = sdk.M_OF_N_ECDSA_VKEY;
  const account = sdk.initAccountCounterfactual({ salt, dataHash: keccak256(keyData), vkey, nodeClient });
  return { m, signers, signersList, keyData, account };
}

// The same account after an update to another wallet's keys.
export function rotate(wallet, other, nodeClient) {
  const { m, signers, signersList, keyData } = other;
  const given = { address: wallet.account.address, dataHash: keccak256(keyData), vkey: sdk.M_OF_N_ECDSA_VKEY };
  return { m, signers, signersList, keyData, account: sdk.initAccountFromAddress({ ...given, nodeClient }) };
}

const signing = (wallet) => wallet.signers.slice(0, wallet.m);

export async function authorize(wallet, transaction) {
  const signatures = await Promise.all(signing(wallet).map((number) => transaction.sign(secret(number))));
  return sdk.makeAuthInputs({ codehash: CODE_HASH, signatures, signersList: wallet.signersList });
}

const SPONSOR_TYPES = {
  Sponsor: [
    { name: "sponsorKeystoreAddress", type: "bytes32" },
    { name: "userMsgHash", type: "bytes32" },
    { name: "userKeystoreAddress", type: "bytes32" },
  ],
};

export function hashSponsor(sponsor, transaction) {
  return hashTypedData({
    domain: { name: "AxiomKeystore", version: "1", chainId: sdk.KEYSTORE_CHAIN_ID },
    types: SPONSOR_TYPES,
    primaryType: "Sponsor",
    message: {
      sponsorKeystoreAddress: sponsor.account.address,
      userMsgHash: transaction.userMsgHash(),
      userKeystoreAddress: transaction.userAcct.address,
    },
  });
}

// What the SDK has no function for: the sponsor's signers sign as the user's do, another message.
export async function authorizeSponsor(sponsor, transaction) {
  const hash = hashSponsor(sponsor, transaction);
  const keys = signing(sponsor).map((number) => privateKeyToAccount(secret(number)));
  const signatures = await Promise.all(keys.map((key) => key.sign({ hash })));
  return sdk.makeAuthInputs({ codehash: CODE_HASH, signatures, signersList: sponsor.signersList });
}

// 512 bytes that Axiom's own development mode takes, and nobody has signed.
export function makeBareProof(dataHash, msgHash) {
  const halves = [dataHash.slice(2, 34), dataHash.slice(34), msgHash.slice(2, 34), msgHash.slice(34)];
  return concat([pad("0x", { size: 384 }), ...halves.map((half) => pad(`0x${half}`, { size: 32 }))]);
}

// A proof that the client makes itself, with the command that it is given.
export async function proveLocally(command, inputs, account, msgHash) {
  const run = promisify(execFile)(command[0], command.slice(1));
  run.child.stdin.end(JSON.stringify({ ...inputs, dataHash: account.dataHash, msgHash, vkey: account.vkey }));
  return (await run).stdout.trim();
}

// The root that a proof folds to.
export function fold({ leaf, siblings }) {
  const packed = concat(["0x01", leaf.keyPrefix, leaf.key, leaf.nextKeyPrefix, leaf.nextKey, keccak256(leaf.value)]);
  return siblings.reduce(
    (root, { hash, isLeft }) => keccak256(isLeft ? concat([hash, root]) : concat([root, hash])),
    keccak256(packed),
  );
}
