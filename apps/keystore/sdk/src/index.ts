// Smart accounts whose keys live on a keystore rollup.

export * from "../../../../microrollup/client/js/src/index.js";
export {
  StaleRoot,
  toKeystoreSmartAccount,
  type Deployment,
  type KeystoreSmartAccount,
  type KeystoreSmartAccountOptions,
} from "./account.js";
export { encodeAssertion } from "./assertion.js";
export * from "./configuration.js";
export {
  NotDelegated,
  delegateToKeystore,
  encodeSetKey,
  makeSetKey,
  readDelegate,
  readKeySequence,
  toKeystoreEoaAccount,
  type DelegateOptions,
  type Eoa,
} from "./delegation.js";
export { accountAbi, app, codeHashes, delegateAbi, factoryAbi, rootsAbi, verifierAbi } from "./generated.js";
export { explain, type ExplainOptions, type SignedOperation } from "./explain.js";
export { KeystoreClient, makeIdentity, type FoundAccount } from "./keystore.js";
export { CAUSES, type Cause, type Explanation } from "./judging.js";
export { CACHED, encodeExclusion, encodeInclusion, encodeSignature, openShown, remember, type Identity, type Opening } from "./opening.js"; // prettier-ignore
export {
  computeFillId,
  makeFill,
  originSettlerAbi,
  type Fill,
  type HeldOrder,
  type OrderOutput,
  type ResolvedOrder,
} from "./orders.js";
export { bringRoot, encodeHeader, pushRoot, type BringRootOptions } from "./roots.js";
export { toEcdsaSigner, toMultisigSigner, toPasskeyAccountSigner, type AccountSigner } from "./signers.js";
export { STUB_CLIENT_DATA_BYTES, encodeStub } from "./stub.js";
