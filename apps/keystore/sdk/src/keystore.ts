// The keystore as a rollup: register an account, change who decides over it, prove what it holds.

import { type Address, type Hex, isHex } from "viem";
import { readAs } from "../../../../microrollup/client/js/src/answers.js";
import {
  type Acknowledgement,
  BadAnswer,
  type ClientOptions,
  type ProvenValue,
  RollupClient,
  type SignedAction,
  type Signer,
  UsageError,
  encodeCarriedPayload,
} from "../../../../microrollup/client/js/src/index.js";
import { type Configuration, computeAccountKey, computeData } from "./configuration.js";
import { app } from "./generated.js";
import type { Identity } from "./opening.js";

const DATA_DIGITS = 2 + 2 * 32;

/** An account, and what is authoritative for it: `data` is `codeHash || configHash`. */
export interface FoundAccount {
  readonly key: Hex;
  readonly data: Hex;
  readonly vk: Hex;
}

interface AccountsPage {
  readonly items: readonly FoundAccount[];
  readonly next: Hex | null;
}

/** As many as a node gives at once. */
const PAGE = 200;

/** The client of a keystore's node. */
export class KeystoreClient extends RollupClient<typeof app> {
  constructor(options: Omit<ClientOptions, "app">) {
    super({ ...options, app });
  }

  /**
   * Register an account's first configuration. Its vk is the signer's address, which alone may change it later. An
   * account need not be registered to be used: it may be opened by the absence of its key.
   */
  register(configuration: Configuration, salt: Hex, signer: Signer): Promise<Acknowledgement> {
    const [codeHash, configHash] = split(configuration);
    return this.submit({ type: "Register", message: { codeHash, configHash, salt } }, signer);
  }

  /** Let another configuration decide over an account, on every chain; `vk` names who may change it from then on. */
  update(key: Hex, configuration: Configuration, signer: Signer, vk: Address = signer.address): Promise<Acknowledgement> {
    return this.submit(makeUpdate(key, configuration, vk), signer);
  }

  /** The signed update as a payload of the inbox's queue: anybody carries it past a silent operator (`forceAbi`). */
  async signUpdateForL1(
    key: Hex,
    configuration: Configuration,
    signer: Signer,
    { vk = signer.address, nonce }: { vk?: Address; nonce?: bigint } = {},
  ): Promise<{ readonly signed: SignedAction; readonly payload: Hex }> {
    const signed = await this.sign(makeUpdate(key, configuration, vk), signer, nonce);
    return { signed, payload: encodeCarriedPayload(app.actions.find(({ name }) => name === "Update")!, signed) };
  }

  /**
   * The accounts that a sender may change, in the order of their keys: a wallet finds its own again. The node's word; prove
   * what matters. Anybody may make an account that a stranger may change, so there are `limit` at most: go on after the
   * last key.
   */
  async accountsOf(sender: Address, { after, limit = 1_000 }: { after?: Hex; limit?: number } = {}): Promise<FoundAccount[]> {
    const found: FoundAccount[] = [];
    for (let next: Hex | null | undefined = after; found.length < limit; ) {
      const asked = { sender, limit: Math.min(limit - found.length, PAGE), ...(next && { after: next }) };
      const page: AccountsPage = readAs("page", await this.query("keystore_accountsOf", asked), checkPage);
      found.push(...page.items);
      if (page.next === null) break;
      if (page.items.length === 0 || page.next <= (next ?? "0x")) throw new BadAnswer("pages of accounts that lead nowhere");
      next = page.next;
    }
    return found.slice(0, limit);
  }

  /** What the keystore holds at a key, or that it holds nothing, proven under the state root of a height. */
  prove(key: Hex, options: { height?: number; stateRoot?: Hex } = {}): Promise<ProvenValue> {
    return this.getProof("accounts", key, options);
  }
}

/** An account's identity from what it begins with. */
export function makeIdentity(first: Configuration, vk: Address, salt: Hex): Identity {
  return { key: computeAccountKey(first, vk, salt), vk, salt };
}

function checkPage(answer: unknown): AccountsPage {
  const { items, next } = answer as AccountsPage;
  if ((next !== null && !isHex(next)) || !items.every(({ key, data, vk }) => isHex(key) && isHex(data) && isHex(vk)))
    throw new BadAnswer("a page that is not one of accounts");
  return { items, next };
}

function makeUpdate(key: Hex, configuration: Configuration, vk: Address) {
  const [codeHash, configHash] = split(configuration);
  return { type: "Update", message: { key, codeHash, configHash, vk } } as const;
}

/** `codeHash` and `configHash`. */
function split(configuration: Configuration): [Hex, Hex] {
  const data = computeData(configuration);
  if (data.length !== 2 * DATA_DIGITS - 2) throw new UsageError("a codeHash has 32 bytes");
  return [data.slice(0, DATA_DIGITS) as Hex, `0x${data.slice(DATA_DIGITS)}`];
}
