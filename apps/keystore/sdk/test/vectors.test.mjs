// The bytes, against the vectors that Python's functions make.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { hashMessage } from "viem/experimental/erc7739";
import {
  CACHED,
  CAUSES,
  ProofInvalid,
  UsageError,
  checkProof,
  computeAccountAddress,
  computeAccountKey,
  computeData,
  computeValidatorAddress,
  configureEcdsa,
  configureMultisig,
  configureP256,
  configureWebAuthn,
  encodeAssertion,
  encodeSignature,
  encodeStub,
  openShown,
  remember,
} from "../dist/index.js";

const read = async (name) =>
  JSON.parse(await readFile(new URL(`../../../../tests/vectors/conformance/${name}.json`, import.meta.url), "utf8")).cases;

/** An owner of a multisig configuration by its place. */
const ownerAt = (config, index) => `0x${config.slice(4 + 40 * index, 44 + 40 * index)}`;

const CONFIGURE = {
  ecdsa: (config) => configureEcdsa(config),
  multisig: (config) => configureMultisig(Number(config.slice(0, 4)), [2, 0, 1].map((index) => ownerAt(config, index))),
  p256: (config) => configureP256(config),
  webauthn: (config) => configureWebAuthn(config),
  "p256 without precompile": (config) => configureP256(config, { precompile: false }),
  "webauthn without precompile": (config) => configureWebAuthn(config, { precompile: false }),
};

test("configurations, keys and addresses", async () => {
  const cases = await read("smart-accounts");
  assert.deepEqual(cases.map(({ kind }) => kind).sort(), Object.keys(CONFIGURE).sort());
  for (const { kind, configuration, ...known } of cases) {
    assert.deepEqual(CONFIGURE[kind](configuration.config), configuration);
    assert.equal(computeData(configuration), known.data);
    assert.equal(computeValidatorAddress(configuration.codeHash).toLowerCase(), known.validator);
    assert.equal(computeAccountKey(configuration, known.vk, known.salt), known.key);
    const account = computeAccountAddress(known.factory, known.key);
    assert.equal(account.toLowerCase(), known.account);
    const domain = { name: "KeystoreAccount", version: "1", chainId: Number(known.chainId), verifyingContract: account };
    assert.equal(hashMessage({ message: known.message, verifierDomain: domain }), known.personalSignDigest);
  }
});

test("openings and signatures", async () => {
  for (const { identity, configuration, proof, opening, ...known } of await read("smart-account-openings")) {
    const proven = checkProof(proof, 0, identity.key, proof.stateRoot);
    const plain = openShown(proven, configuration, identity);
    const made = Number(opening.mode) & 0x80 ? remember(plain) : plain;
    assert.deepEqual({ ...made, mode: String(made.mode) }, opening);
    assert.equal(encodeSignature(configuration, made, known.validatorSignature), known.signature);
    const other = { ...configuration, config: `0x${"ab".repeat(20)}` };
    assert.throws(() => openShown(proven, other, identity), ProofInvalid);
    for (const changed of [{ exists: !proof.exists }, { stateRoot: identity.key }, { siblings: proof.siblings.slice(1) }])
      assert.throws(() => checkProof({ ...proof, ...changed }, 0, identity.key, changed.stateRoot ?? proof.stateRoot), ProofInvalid);
    if (proof.exists) assert.throws(() => checkProof(proof, 1, identity.key, proof.stateRoot), ProofInvalid);
  }
});

test("the causes of a refused signature", async () => {
  assert.deepEqual((await read("smart-account-causes")).map(({ cause, words }) => [cause, words]), Object.entries(CAUSES));
});

test("stub signatures, to the byte", async () => {
  const cases = await read("smart-account-stubs");
  assert.equal(cases.length, Object.keys(CONFIGURE).length + 2);
  for (const { configuration, clientDataBytes, signature } of cases)
    assert.equal(encodeSignature(configuration, CACHED, encodeStub(configuration, Number(clientDataBytes))), signature);
  const [{ configuration }] = cases;
  assert.throws(() => encodeStub({ ...configuration, codeHash: `0x${"ab".repeat(32)}` }), UsageError);
});

test("a passkey's assertion as its validator takes it, with either s", async () => {
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  for (const { authenticatorData, clientDataJson, scalars, validator } of await read("smart-account-assertions")) {
    assert.equal(encodeAssertion(authenticatorData, clientDataJson, scalars), validator);
    const high = (order - BigInt(`0x${scalars.slice(66)}`)).toString(16).padStart(64, "0");
    assert.equal(encodeAssertion(authenticatorData, clientDataJson, `${scalars.slice(0, 66)}${high}`), validator);
  }
});
