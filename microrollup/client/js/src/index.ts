// Client of micro-rollups: typed actions, checked acknowledgements, proven state.

export type { ActionName, ActionRequest, App, FieldName, MessageOf, SettledFieldName } from "./app.js";
export { LEVELS, RollupClient, type Acknowledgement, type ClientOptions, type Level } from "./client.js";
export * from "./errors.js";
export type { WebSocketClass } from "./feed.js";
export type { FollowOptions, Notification, Topic } from "./following.js";
export { encodeCarriedPayload, encodeEnvelopePayload, encodeForcedPayload, forceAbi } from "./forcing.js";
export { encodeKey, type Key, type KeyPart } from "./keys.js";
export { askPasskey, computePasskeySender, toPasskeySigner } from "./passkeys.js";
export { checkHeader, checkProof, type ProvenValue } from "./proofs.js";
export { computeReceiptHash, readEvents, type ReadEvent } from "./receipts.js";
export type * from "./rpc.js";
export { makeStatement, signStatement, type Signer, type Statement } from "./signing.js";
