// Subscriptions over a WebSocket. A connection that is lost is opened again from the last cursor.

import { RollupError, UsageError, makeRpcError } from "./errors.js";

export type Topic = "blocks" | "receipts" | "events" | "confirmations";

/** An item of a topic. Keep the cursor of the last one that was processed, and begin there after a restart. */
export interface Notification<result = unknown> {
  readonly cursor: number;
  readonly result: result;
}

export interface FollowOptions {
  /** The first cursor to be told; without it, what is new from now on. */
  readonly from?: number;
  readonly filter?: { readonly sender?: string; readonly name?: string };
  /** Ends the subscription. */
  readonly signal?: AbortSignal;
}

/** What a WebSocket has to be: the platform's own, or that of the package `ws`. */
export type WebSocketClass = new (url: string) => {
  send(text: string): void;
  close(): void;
  addEventListener(type: "open" | "message" | "close" | "error", listener: (event: { data?: unknown }) => void): void;
};

const PAUSE_MS = 500;

/** The items of a topic, one after the other, without end. */
export async function* follow(
  url: string,
  WebSocketOf: WebSocketClass | undefined,
  topic: Topic,
  { from, filter, signal }: FollowOptions,
): AsyncGenerator<Notification> {
  if (WebSocketOf === undefined) throw new UsageError("there is no WebSocket here: give the class of the package ws");
  let cursor = from;
  while (!signal?.aborted) {
    const connection = new Feed(url.replace(/^http/, "ws"), WebSocketOf, signal);
    try {
      const params = { topic, ...(cursor === undefined ? {} : { from: cursor }), ...(filter ? { filter } : {}) };
      for await (const item of connection.read(params)) {
        yield item;
        cursor = item.cursor;
      }
    } finally {
      connection.close();
    }
    if (!signal?.aborted) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

/** One connection with one subscription: what arrived and was not taken yet. */
class Feed {
  readonly #socket: InstanceType<WebSocketClass>;
  readonly #queue: Notification[] = [];
  #wake: () => void = () => {};
  #ended = false;
  #failure: RollupError | undefined;
  #open = false;

  constructor(url: string, WebSocketOf: WebSocketClass, signal: AbortSignal | undefined) {
    this.#socket = new WebSocketOf(url);
    this.#socket.addEventListener("open", () => this.#note(() => (this.#open = true)));
    this.#socket.addEventListener("message", ({ data }) => this.#note(() => this.#take(String(data))));
    for (const type of ["close", "error"] as const) this.#socket.addEventListener(type, () => this.#end());
    signal?.addEventListener("abort", () => this.#end());
  }

  async *read(params: object): AsyncGenerator<Notification> {
    while (!this.#open && !this.#ended) await this.#wait();
    if (this.#open)
      this.#socket.send(JSON.stringify({ jsonrpc: "2.0", id: 1, method: "rollup_subscribe", params }));
    for (;;) {
      const item = this.#queue.shift();
      if (item !== undefined) yield item;
      else if (this.#failure !== undefined) throw this.#failure;
      else if (this.#ended) return;
      else await this.#wait();
    }
  }

  close(): void {
    this.#socket.close();
  }

  #take(text: string): void {
    const { error, params } = JSON.parse(text) as {
      error?: unknown;
      params?: { cursor: number; result?: unknown; error?: unknown };
    };
    if (error !== undefined) this.#failure = makeRpcError(error);
    else if (params?.error !== undefined) this.#ended = true;
    else if (params !== undefined) this.#queue.push({ cursor: Number(params.cursor), result: params.result });
  }

  #end(): void {
    this.#note(() => (this.#ended = true));
  }

  #note(change: () => void): void {
    change();
    this.#wake();
  }

  #wait(): Promise<void> {
    return new Promise((resolve) => (this.#wake = resolve));
  }
}
