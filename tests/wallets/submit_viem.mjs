// Signs and submits actions with viem, by what the node says of itself.
//
// stdin:  {"url", "secret", "actions": [{"type", "message", "nonce"?, "altered"?}]}    `altered` is put in after signing
// stdout: [{"sender", "digest", "actionHash", "answer", "operator"?}]                 `answer` is the node's, as it came

import { text } from "node:stream/consumers";
import { concat, hashTypedData, keccak256, recoverTypedDataAddress } from "viem";
import { privateKeyToAccount } from "viem/accounts";

const given = JSON.parse(await text(process.stdin));

async function ask(method, params) {
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: `rollup_${method}`, params });
  const response = await fetch(given.url, { method: "POST", headers: { "Content-Type": "application/json" }, body });
  return response.json();
}

const { result: config } = await ask("config", {});
const account = privateKeyToAccount(given.secret);
const results = [];
for (const { type, message, nonce, altered } of given.actions) {
  const { types } = config.actions.find(({ name }) => name === type);
  const next = nonce ?? (await ask("getNonce", { sender: account.address })).result.pending;
  const typedData = { domain: config.domain, types, primaryType: type, message: { ...message, nonce: next } };
  const signature = await account.signTypedData(typedData);
  const signed = { type, message: { ...typedData.message, ...altered }, signature, sender: account.address };
  const answer = await ask("submitAction", { action: signed });

  const digest = hashTypedData(typedData);
  const result = { sender: account.address, digest, actionHash: keccak256(concat([digest, account.address])), answer };
  if (answer.result) {
    const domain = { ...config.domain, name: "microrollup", version: "1", chainId: config.l1ChainId };
    const members = { rollupId: "bytes32", actionHash: "bytes32", seq: "uint64", height: "uint64", receiptHash: "bytes32" };
    result.operator = await recoverTypedDataAddress({
      domain,
      types: { Acknowledgement: Object.entries(members).map(([name, type]) => ({ name, type })) },
      primaryType: "Acknowledgement",
      message: answer.result,
      signature: answer.result.signature,
    });
  }
  results.push(result);
}
console.log(JSON.stringify(results));
