// A keystore on Stackr's SDK: `ACCOUNTS ACTIONS SECONDS`, in the directory of its database. It prints one JSON line.
"use strict";

const { writeFileSync } = require("node:fs");
const { KeyPurpose, MicroRollup, SignatureScheme } = require("@stackr/sdk");
const { SolidityType, State, StateMachine } = require("@stackr/sdk/machine");
const { Wallet, ZeroHash, concat, id, keccak256 } = require("ethers");

const BLOCK = 100; // the SDK's blocks hold 131,072 bytes of JSON
const NODE = { vulcanRPC: "", L1RPC: "", disableVulcanSync: true, disableL1Sync: true };
const DEPLOYMENT = { appId: 1, appInbox: "0x0000000000000000000000000000000000000001", chainId: 31337 };
const { ADDRESS, BYTES32, UINT } = SolidityType;
const owner = new Wallet(id("owner"));

/** Accounts by key. The SDK asks for the root at both ends of a block, and copies the state as JSON for each action. */
class Keystore extends State {
  getRootHash() {
    const leaves = Object.entries(this.state).map(([key, { data, vk }]) => concat([key, keccak256(data), keccak256(vk)]));
    return foldTree(leaves.map(keccak256));
  }
}

const register = Keystore.STF({
  schema: { codeHash: BYTES32, configHash: BYTES32, salt: BYTES32 },
  handler: ({ state, inputs, msgSender }) => {
    const data = concat([inputs.codeHash, inputs.configHash]);
    const key = computeKey(inputs.salt, data, msgSender);
    if (state[key]) throw new Error("account exists");
    state[key] = { data, vk: msgSender };
    return state;
  },
});

const update = Keystore.STF({
  schema: { key: BYTES32, codeHash: BYTES32, configHash: BYTES32, vk: ADDRESS, nonce: UINT },
  handler: ({ state, inputs, msgSender }) => {
    const account = state[inputs.key];
    if (!account) throw new Error("no such account");
    if (account.vk !== msgSender) throw new Error("sender is not the account's vk");
    state[inputs.key] = { data: concat([inputs.codeHash, inputs.configHash]), vk: inputs.vk };
    return state;
  },
});

function foldTree(level) {
  while (level.length > 1) {
    const above = [];
    for (let at = 0; at < level.length; at += 2) above.push(keccak256(concat([level[at], level[at + 1] ?? ZeroHash])));
    level = above;
  }
  return level[0] ?? ZeroHash;
}

function computeKey(salt, data, vk) {
  return keccak256(concat([salt, keccak256(data), keccak256(vk)]));
}

function makeRegister(number) {
  return { codeHash: id(`code ${number % 4}`), configHash: id(`config ${number}`), salt: id(`salt ${number}`) };
}

function makeGenesis(accounts) {
  const state = {};
  for (let number = 0; number < accounts; number += 1) {
    const { codeHash, configHash, salt } = makeRegister(number);
    const data = concat([codeHash, configHash]);
    state[computeKey(salt, data, owner.address)] = { data, vk: owner.address };
  }
  return state;
}

async function createRollup(genesis) {
  writeFileSync("deployment.json", JSON.stringify(DEPLOYMENT));
  const account = { privateKey: owner.privateKey, scheme: SignatureScheme.ECDSA };
  const machine = { id: "keystore", stateClass: Keystore, initialState: genesis, on: { register, update } };
  const rollup = await MicroRollup({
    config: {
      deploymentFile: "deployment.json",
      sequencer: { blockSize: BLOCK, blockTime: 1_000, disableBuilder: true },
      syncer: NODE,
      operator: { accounts: Object.values(KeyPurpose).map((purpose) => ({ ...account, purpose })) },
      domain: { name: "keystore", version: "1", salt: ZeroHash },
      datastore: { type: "sqlite", uri: "actions.sqlite" },
      registryContract: owner.address,
      logLevel: "error",
    },
    stateMachines: [new StateMachine(machine)],
  });
  await rollup.init();
  return rollup;
}

/** Three registers to two updates, as the other rows have them. */
async function signActions(rollup, keys, count) {
  const signed = [];
  for (let number = 0; number < count; number += 1) {
    const name = [2, 4].includes(number % 5) ? "update" : "register";
    const fresh = makeRegister(keys.length + number);
    const { salt, ...hashes } = fresh;
    const changed = { ...hashes, key: keys[(7 * number) % keys.length], vk: owner.address, nonce: number };
    const inputs = name === "register" ? fresh : changed;
    const types = rollup.getStfSchemaMap()[name];
    const signature = await owner.signTypedData(rollup.config.domain, types, { name, inputs });
    signed.push({ name, inputs, signature, msgSender: owner.address });
  }
  return signed;
}

async function main(accounts, actions, seconds) {
  const genesis = makeGenesis(accounts);
  const rollup = await createRollup(genesis);
  const waiting = await signActions(rollup, Object.keys(genesis), actions);
  const started = performance.now();
  const used = process.cpuUsage();
  const spent = () => (performance.now() - started) / 1_000;
  while (waiting.length && spent() < seconds) {
    let open = 0;
    for (; open < BLOCK && waiting.length && spent() < seconds; open += 1) await rollup.submitAction(waiting.shift());
    await rollup.sequencer.tick();
  }
  const wall = spent();
  const { user, system } = process.cpuUsage(used);
  const executed = (await rollup.actions.query({ executionStatus: "accepted" })).length;
  console.log(JSON.stringify({ executed, seconds: wall, cpu: (user + system) / 1e6 }));
  await rollup.shutdown();
}

main(...process.argv.slice(2).map(Number));
