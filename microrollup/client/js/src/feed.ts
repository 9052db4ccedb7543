// One WebSocket with one subscription: what arrived and was not taken yet, within limits.

import { MAX_ANSWER_BYTES, isObject, parseObject, takeResult } from "./answers.js";
import { BadAnswer, RollupError } from "./errors.js";
import type { Notification } from "./following.js";

/** What a WebSocket has to be: the platform's own, or that of the package `ws`, which takes the third argument. */
export type WebSocketClass = new (
  url: string,
  protocols?: string[],
  options?: { maxPayload: number },
) => {
  send(text: string): void;
  close(): void;
  /** Of the package `ws`: without waiting for the other side's goodbye. */
  terminate?(): void;
  addEventListener(type: "open" | "message" | "close" | "error", listener: (event: { data?: unknown }) => void): void;
};

/** Items that wait for a slow reader, as many as a node keeps for one. A WebSocket cannot be told to wait. */
const MAX_WAITING = 1_000;
/** What the other side has to answer a goodbye. */
const CLOSE_MS = 1_000;
const SUBSCRIBE_ID = 1;

export class Feed {
  readonly #socket: InstanceType<WebSocketClass>;
  readonly #waiting: { readonly item: Notification; readonly size: number }[] = [];
  readonly #signal: AbortSignal | undefined;
  readonly #opening: ReturnType<typeof setTimeout>;
  #size = 0;
  #first: number | undefined;
  #wake: () => void = () => {};
  #isOpen = false;
  #isEnded = false;
  #isClosed = false;
  #failure: RollupError | undefined;

  /** `timeout` in milliseconds is for the connection to open. */
  constructor(url: string, WebSocketOf: WebSocketClass, timeout: number, signal: AbortSignal | undefined) {
    this.#socket = new WebSocketOf(url, [], { maxPayload: MAX_ANSWER_BYTES });
    this.#socket.addEventListener("open", () => this.#open());
    this.#socket.addEventListener("message", ({ data }) => this.#receive(data));
    for (const type of ["close", "error"] as const) this.#socket.addEventListener(type, this.#end);
    this.#opening = setTimeout(this.#end, timeout);
    this.#signal = signal;
    signal?.addEventListener("abort", this.#end);
  }

  /**
   * The cursor at which the node begins, then the items, until the connection ends or this reader is too slow. Throws
   * `BadAnswer` for what is no item, and the `RpcError` of a subscription that the node refuses.
   */
  async *read(params: object): AsyncGenerator<Notification | number> {
    while (!this.#isOpen && !this.#isEnded) await this.#wait();
    if (!this.#isEnded)
      this.#socket.send(JSON.stringify({ jsonrpc: "2.0", id: SUBSCRIBE_ID, method: "rollup_subscribe", params }));
    let isTold = false;
    for (;;) {
      if (!isTold && this.#first !== undefined) {
        isTold = true;
        yield this.#first;
      }
      const next = isTold ? this.#waiting.shift() : undefined;
      if (next !== undefined) {
        this.#size -= next.size;
        yield next.item;
      } else if (this.#failure !== undefined) throw this.#failure;
      else if (this.#isEnded) return;
      else await this.#wait();
    }
  }

  close(): void {
    this.#end();
  }

  #open(): void {
    clearTimeout(this.#opening);
    this.#isOpen = true;
    this.#wake();
  }

  /** A listener: nothing may be thrown here, where nobody would catch it. */
  #receive(data: unknown): void {
    if (this.#isEnded) return;
    try {
      this.#take(data);
    } catch (error) {
      this.#failure = error instanceof RollupError ? error : new BadAnswer(String(error));
      this.#end();
    }
    this.#wake();
  }

  #take(data: unknown): void {
    if (typeof data !== "string") throw new BadAnswer("a notification that is not text");
    if (data.length > MAX_ANSWER_BYTES) throw new BadAnswer(`a notification of more than ${MAX_ANSWER_BYTES} bytes`);
    const message = parseObject(data);
    if (message["method"] === "rollup_subscription") {
      const item = readNotification(message["params"]);
      if (item === undefined || this.#isFull(data.length)) this.#end();
      else {
        this.#waiting.push({ item, size: data.length });
        this.#size += data.length;
      }
    } else if (this.#first === undefined) {
      const result = takeResult(message, SUBSCRIBE_ID);
      if (!isObject(result) || !Number.isSafeInteger(result["cursor"])) throw new BadAnswer("a subscription without a cursor");
      this.#first = result["cursor"] as number;
    }
  }

  /** Whether there is no room for more. Then the connection ends, and what did not fit is asked for again. */
  #isFull(length: number): boolean {
    const isFull = this.#waiting.length >= MAX_WAITING || (this.#size > 0 && this.#size + length > MAX_ANSWER_BYTES);
    if (isFull && this.#first === undefined)
      throw new BadAnswer("notifications without end before the answer that names the subscription");
    return isFull;
  }

  readonly #end = (): void => {
    this.#isEnded = true;
    this.#wake();
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#opening);
    this.#signal?.removeEventListener("abort", this.#end);
    const socket = this.#socket;
    socket.close();
    const ending = setTimeout(() => socket.terminate?.(), CLOSE_MS) as unknown as { unref?(): void };
    ending.unref?.();
  };

  #wait(): Promise<void> {
    return new Promise((resolve) => (this.#wake = resolve));
  }
}

/** The item of a notification; undefined if it is the last one, to a subscriber that was too slow. */
function readNotification(params: unknown): Notification | undefined {
  if (!isObject(params)) throw new BadAnswer("a notification without params");
  if ("error" in params) return undefined;
  const { cursor, result } = params;
  if (!Number.isSafeInteger(cursor) || !isObject(result)) throw new BadAnswer("a notification without a cursor or a result");
  return { cursor: cursor as number, result };
}
