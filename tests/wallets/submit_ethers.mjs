// Signs and submits actions with ethers, by what the node says of itself.
//
// stdin:  {"url", "secret", "actions": [{"type", "message", "nonce"?, "altered"?}]}    `altered` is put in after signing
// stdout: [{"sender", "digest", "actionHash", "answer", "operator"?}]                 `answer` is the node's, as it came

import { text } from "node:stream/consumers";
import { TypedDataEncoder, Wallet, concat, keccak256, verifyTypedData } from "ethers";

const given = JSON.parse(await text(process.stdin));

async function ask(method, params) {
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: `rollup_${method}`, params });
  const response = await fetch(given.url, { method: "POST", headers: { "Content-Type": "application/json" }, body });
  return response.json();
}

const { result: config } = await ask("config", {});
const wallet = new Wallet(given.secret);
const results = [];
for (const { type, message, nonce, altered } of given.actions) {
  const { types } = config.actions.find(({ name }) => name === type);
  const next = nonce ?? (await ask("getNonce", { sender: wallet.address })).result.pending;
  const whole = { ...message, nonce: next };
  const signature = await wallet.signTypedData(config.domain, types, whole);
  const signed = { type, message: { ...whole, ...altered }, signature, sender: wallet.address };
  const answer = await ask("submitAction", { action: signed });

  const digest = TypedDataEncoder.hash(config.domain, types, whole);
  const result = { sender: wallet.address, digest, actionHash: keccak256(concat([digest, wallet.address])), answer };
  if (answer.result) {
    const domain = { ...config.domain, name: "microrollup", version: "1", chainId: config.l1ChainId };
    const members = { rollupId: "bytes32", actionHash: "bytes32", seq: "uint64", height: "uint64", receiptHash: "bytes32" };
    const ackTypes = { Acknowledgement: Object.entries(members).map(([name, type]) => ({ name, type })) };
    result.operator = verifyTypedData(domain, ackTypes, answer.result, answer.result.signature);
  }
  results.push(result);
}
console.log(JSON.stringify(results));
