// The client of one node: numbers, signs and sends actions, and checks whatever can be checked of the answers.

import {
  type Address,
  type Hex,
  type TypedDataDomain,
  isAddress,
  isAddressEqual,
  isHex,
  recoverTypedDataAddress,
} from "viem";
import { readAs } from "./answers.js";
import { type ActionRequest, type App, type FieldName, type SettledFieldName, checkApp } from "./app.js";
import {
  ActionRefused,
  BadAnswer,
  BlockInvalid,
  ConfirmationTimeout,
  ForeignNode,
  NodeBusy,
  OutcomeUnknown,
  RpcError,
  type SignedAction,
  Unreachable,
  UsageError,
} from "./errors.js";
import type { WebSocketClass } from "./feed.js";
import { type FollowOptions, type Notification, type Topic, follow } from "./following.js";
import { type Key, encodeKey } from "./keys.js";
import { type ProvenValue, checkHeader, checkProof } from "./proofs.js";
import { computeReceiptHash, readEvents } from "./receipts.js";
import type { AcknowledgementForm, Confirmation, HeaderAnswer, NodeConfig, RpcMethods } from "./rpc.js";
import { type Signer, makeStatement, signStatement, toJson } from "./signing.js";
import { Transport } from "./transport.js";

/** Acknowledged and durable; executed; verified; data available; settled. */
export const LEVELS = ["C0", "C1", "C2", "C3A", "C3B"] as const;
export type Level = (typeof LEVELS)[number];

const POLL_MS = 500;
const MAX_SIGNINGS = 8;

/** Which node is meant, and what is known of its rollup from elsewhere. */
export interface ClientOptions<app extends App = App> {
  /** Address of the node's JSON-RPC: `https://…`. */
  readonly url: string;
  /** What the app declares, from `microrollup-types`: types the calls, and is signed by instead of the node's word. */
  readonly app?: app;
  /** The rollup that is meant. Without it the node is believed. */
  readonly rollupId?: Hex;
  /** Who signs acknowledgements. Without it the node is believed. */
  readonly builder?: Address;
  /** The signing domain. Without it the node is believed. */
  readonly domain?: TypedDataDomain;
  /** For a node that takes actions from those who send one of its tokens. */
  readonly token?: string;
  /** Milliseconds for a whole call, repetitions included; 30,000 by default. */
  readonly timeout?: number;
  /** For `follow`, where the platform has none: the class of the package `ws`. */
  readonly WebSocket?: WebSocketClass;
}

/** An acknowledgement that was checked: the operator's word of what became of an action. */
export type Acknowledgement = AcknowledgementForm;

type Params<method extends keyof RpcMethods> = RpcMethods[method]["params"];
type Result<method extends keyof RpcMethods> = RpcMethods[method]["result"];

/** A node's methods. Everything that can be checked here is checked here. */
export class RollupClient<app extends App = App> {
  readonly url: string;
  readonly #options: ClientOptions<app>;
  readonly #transport: Transport;
  readonly #timeout: number;
  readonly #turns = new Map<string, Promise<unknown>>();
  #config: Promise<NodeConfig> | undefined;

  constructor(options: ClientOptions<app>) {
    this.#options = options;
    this.#timeout = options.timeout ?? 30_000;
    this.#transport = new Transport(options.url, this.#timeout, options.token);
    this.url = options.url;
  }

  /** Any method by its name without `rollup_`, as the node answers it. */
  call<method extends keyof RpcMethods>(method: method, params: Params<method>): Promise<Result<method>> {
    return this.#transport.call(`rollup_${method}`, params) as Promise<Result<method>>;
  }

  /** A method of the app's own by its full name. */
  query(method: string, params: object = {}): Promise<unknown> {
    return this.#transport.call(method, toJson(params) as object);
  }

  /** What the rollup is; asked for once, and compared with what is known of it. Throws `ForeignNode`. */
  getConfig(): Promise<NodeConfig> {
    this.#config ??= this.#loadConfig().catch((error: unknown) => {
      this.#config = undefined;
      throw error;
    });
    return this.#config;
  }

  async #loadConfig(): Promise<NodeConfig> {
    return readAs("config", await this.call("config", {}), (config) => this.#checkConfig(config));
  }

  #checkConfig(config: NodeConfig): NodeConfig {
    if (!isHex(config.rollupId) || !isAddress(config.builder) || !isAddress(config.inbox))
      throw new BadAnswer("a config without the rollup's id, its builder or its inbox");
    checkApp(config);
    const { rollupId, builder, domain, app } = this.#options;
    if (rollupId !== undefined && config.rollupId !== rollupId.toLowerCase())
      throw new ForeignNode(`${this.url} serves the rollup ${config.rollupId}, not ${rollupId}`);
    if (builder !== undefined && !isAddressEqual(config.builder, builder))
      throw new ForeignNode(`${this.url} states the builder ${config.builder}, not ${builder}`);
    if (domain !== undefined && !isSameDomain(domain, config.domain as TypedDataDomain))
      throw new ForeignNode(`${this.url} states another signing domain than ${JSON.stringify(toJson(domain))}`);
    for (const action of app?.actions ?? [])
      if (!config.actions.some(({ typeString }) => typeString === action.typeString))
        throw new ForeignNode(`${this.url} takes no ${action.typeString}`);
    return config;
  }

  /** The app's declaration: the one given, or the node's. */
  async #getApp(): Promise<App> {
    return this.#options.app ?? ((await this.getConfig()) as unknown as App);
  }

  // Actions

  /**
   * Number, sign and send an action; resolves when it is durable (C0). Look at `status`: a rejected action is
   * acknowledged as well.
   *
   * Throws `ActionRefused` if it was not taken, `OutcomeUnknown` if it was sent and no answer came.
   */
  submit(action: ActionRequest<app>, signer: Signer): Promise<Acknowledgement> {
    return this.#inTurn(signer.address, async () => {
      for (let signings = 1; ; signings += 1) {
        const signed = await this.sign(action, signer);
        try {
          return await this.submitSigned(signed);
        } catch (error) {
          if (!(error instanceof ActionRefused) || error.refusal !== "nonce_used" || signings === MAX_SIGNINGS)
            throw error;
        }
      }
    });
  }

  /** Sign an action without sending it: to send later, to carry through L1, or to keep. */
  async sign(action: ActionRequest<app>, signer: Signer, nonce?: bigint): Promise<SignedAction> {
    const config = await this.getConfig();
    const described = (await this.#getApp()).actions.find(({ name }) => name === action.type);
    if (described === undefined) throw new UsageError(`${config.name} has no action ${String(action.type)}`);
    const message = action.message as Readonly<Record<string, unknown>>;
    const number = nonce ?? (await this.getNonce(signer.address));
    const domain = config.domain as TypedDataDomain;
    return signStatement(makeStatement(domain, described, message, number, signer.address), signer);
  }

  /** Send an action that is signed already, perhaps for the second time: a known one gets its first answer again. */
  async submitSigned(signed: SignedAction): Promise<Acknowledgement> {
    const actionHash = await this.computeActionHash(signed);
    let answer: AcknowledgementForm;
    try {
      answer = await this.call("submitAction", { action: { ...signed } });
    } catch (error) {
      const open =
        error instanceof BadAnswer ||
        (error instanceof Unreachable && error.sent) ||
        (error instanceof RpcError && (error.code === -32603 || error.code === -32009));
      throw open ? new OutcomeUnknown(signed, error.message) : error;
    }
    return this.#checkAcknowledgement(answer, actionHash);
  }

  /** Send what comes in an envelope of the app's own. Throws like `submit`. */
  async submitEnvelope(name: string, raw: Hex): Promise<Acknowledgement> {
    return this.#checkAcknowledgement(await this.call("submitEnvelope", { name, raw }));
  }

  /** The identity of a signed action: keccak256(EIP-712 digest || sender). */
  async computeActionHash(signed: SignedAction): Promise<Hex> {
    const described = (await this.#getApp()).actions.find(({ name }) => name === signed.type);
    if (described === undefined) throw new UsageError(`the app has no action ${signed.type}`);
    const { nonce, ...message } = signed.message;
    const domain = (await this.getConfig()).domain as TypedDataDomain;
    return makeStatement(domain, described, message, BigInt(nonce as string), signed.sender).actionHash;
  }

  /** The nonce that the rollup expects next from a sender. */
  async getNonce(sender: Address): Promise<bigint> {
    return readAs("nonce", await this.call("getNonce", { sender }), ({ next }) => BigInt(next));
  }

  /** One action of a sender after the other, so that no two take one nonce. */
  #inTurn<result>(sender: Address, act: () => Promise<result>): Promise<result> {
    const key = sender.toLowerCase();
    const turn = (this.#turns.get(key) ?? Promise.resolve()).then(act, act);
    this.#turns.set(key, turn);
    const leave = () => {
      if (this.#turns.get(key) === turn) this.#turns.delete(key);
    };
    turn.then(leave, leave);
    return turn;
  }

  async #checkAcknowledgement(ack: AcknowledgementForm, actionHash?: Hex): Promise<Acknowledgement> {
    const config = await this.getConfig();
    readAs("acknowledgement", ack, () => checkReceipt(ack, config, actionHash));
    if (!isAddressEqual(await recoverOperator(ack, config), config.builder)) {
      if (this.#options.builder !== undefined) throw new BadAnswer("an acknowledgement that the builder did not sign");
      this.#config = undefined; // it may be another builder by now
      const renewed = await this.getConfig();
      if (renewed.rollupId !== config.rollupId || !isAddressEqual(await recoverOperator(ack, renewed), renewed.builder))
        throw new BadAnswer("an acknowledgement that the builder did not sign");
    }
    return ack;
  }

  /** The events of an acknowledgement, from the bytes that are signed, by the types that the app declares. */
  async readEvents(ack: Acknowledgement): Promise<ReturnType<typeof readEvents>> {
    const app = await this.#getApp();
    return readAs("receipt", ack, () => readEvents(ack, app));
  }

  // Confirmations

  /**
   * Resolves once an action (by acknowledgement or hash) or a height has reached a level.
   *
   * Throws `BlockInvalid` if a verifier finds the block wrong, and `ConfirmationTimeout`.
   */
  async wait(
    target: Acknowledgement | Hex | number,
    level: Level = "C2",
    { timeout = 60_000 }: { timeout?: number } = {},
  ): Promise<Confirmation> {
    const named =
      typeof target === "number" ? { height: target } : { hash: typeof target === "string" ? target : target.actionHash };
    const deadline = Date.now() + timeout;
    for (;;) {
      const reached = readAs("confirmation", await this.call("getConfirmation", named), checkConfirmation);
      if (reached.level === "C2X") throw new BlockInvalid(`a verifier found block ${reached.height} wrong`);
      if (rank(reached.level) >= LEVELS.indexOf(level)) return reached;
      if (Date.now() >= deadline)
        throw new ConfirmationTimeout(`block ${reached.height} is at ${reached.level}, not yet at ${level}`);
      await new Promise((resolve) => setTimeout(resolve, Math.min(POLL_MS, Math.max(1, deadline - Date.now()))));
    }
  }

  /** What is new of a topic, without end; begins at `from`, or with what is new. */
  follow(topic: Topic, options: FollowOptions = {}): AsyncGenerator<Notification> {
    const platform = (globalThis as { WebSocket?: unknown }).WebSocket as WebSocketClass | undefined;
    return follow(this.url, this.#options.WebSocket ?? platform, this.#timeout, topic, options);
  }

  // State

  /** What a field holds at a key: the node's word. `value` is null where nothing is. */
  async getState(field: FieldName<app>, key: Key = null, height?: number): Promise<Result<"getState">> {
    return this.call("getState", { field, ...makePlace(key, height) });
  }

  /**
   * What a settled field holds at a key, or that it holds nothing, checked against the header's state root; against
   * `stateRoot`, as from the inbox on L1, if that is given. Throws `ProofInvalid`.
   */
  async getProof(
    field: SettledFieldName<app>,
    key: Key = null,
    { height, stateRoot }: { height?: number; stateRoot?: Hex } = {},
  ): Promise<ProvenValue & { readonly header: HeaderAnswer | null }> {
    const provable = (await this.#getApp()).fields.filter(({ settled }) => settled);
    const described = provable.find(({ name }) => name === field);
    if (described === undefined) {
      const names = provable.map(({ name }) => name).join(", ");
      throw new UsageError(`${String(field)} is not a settled field, so it has no proofs; these have: ${names}`);
    }
    const encodedKey = encodeKey(described.keyType, key);
    const proof = await this.call("getProof", { field, ...makePlace(key, height) });
    const check = (root: Hex) => readAs("proof", proof, () => checkProof(proof, described.number, encodedKey, root));
    if (stateRoot !== undefined) return { ...check(stateRoot), header: null };
    const shown = readAs("proof", proof, () => Number(proof.height));
    const [header, config] = await Promise.all([this.getHeader(shown), this.getConfig()]);
    if (header.rollupId !== config.rollupId) throw new ForeignNode(`a header of the rollup ${header.rollupId}`);
    return { ...check(header.stateRoot), header };
  }

  /** The header of a closed block, whose hash is computed again. */
  async getHeader(height?: number): Promise<HeaderAnswer> {
    return readAs("header", await this.call("getHeader", height === undefined ? {} : { height }), checkHeader);
  }
}

function makePlace(key: Key, height: number | undefined): { key?: unknown; height?: number } {
  return { ...(key === null ? {} : { key: toJson(key) }), ...(height === undefined ? {} : { height }) };
}

/** Throws `ForeignNode`, or `BadAnswer` if it is another action's or not what was signed. */
function checkReceipt(ack: AcknowledgementForm, config: NodeConfig, actionHash: Hex | undefined): void {
  if (computeReceiptHash(ack) !== ack.receiptHash) throw new BadAnswer("a receipt that is not the one signed");
  if (ack.rollupId !== config.rollupId) throw new ForeignNode(`an acknowledgement of the rollup ${ack.rollupId}`);
  if (actionHash !== undefined && ack.actionHash !== actionHash)
    throw new BadAnswer(`the acknowledgement of ${ack.actionHash}, not of ${actionHash}`);
}

const STATES: readonly string[] = [...LEVELS, "C1X", "C2X"];

function checkConfirmation(confirmation: Confirmation): Confirmation {
  if (!STATES.includes(confirmation.level)) throw new BadAnswer(`there is no level ${String(confirmation.level)}`);
  return confirmation;
}

const rank = (level: string): number => (level === "C1X" ? 1 : LEVELS.indexOf(level as Level));

const ACKNOWLEDGEMENT = {
  Acknowledgement: [
    { name: "rollupId", type: "bytes32" },
    { name: "actionHash", type: "bytes32" },
    { name: "seq", type: "uint64" },
    { name: "height", type: "uint64" },
    { name: "receiptHash", type: "bytes32" },
  ],
} as const;

async function recoverOperator(ack: AcknowledgementForm, config: NodeConfig): Promise<Address> {
  const { rollupId, actionHash, seq, height, receiptHash, signature } = ack;
  try {
    return await recoverTypedDataAddress({
      domain: {
        name: "microrollup",
        version: "1",
        chainId: BigInt(config.l1ChainId),
        verifyingContract: config.inbox,
      },
      types: ACKNOWLEDGEMENT,
      primaryType: "Acknowledgement",
      message: { rollupId, actionHash, seq: BigInt(seq), height: BigInt(height), receiptHash },
      signature,
    });
  } catch (error) {
    throw new BadAnswer(`an acknowledgement without a signature: ${(error as Error).message}`);
  }
}

function isSameDomain(given: TypedDataDomain, stated: TypedDataDomain): boolean {
  return (
    given.name === stated.name &&
    given.version === stated.version &&
    BigInt(given.chainId ?? 0) === BigInt(stated.chainId ?? 0) &&
    String(given.verifyingContract).toLowerCase() === String(stated.verifyingContract).toLowerCase()
  );
}

