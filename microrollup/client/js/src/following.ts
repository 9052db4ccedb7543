// Subscriptions over a WebSocket. A connection that is lost is opened again from the last cursor.

import { NodeBusy, Unreachable, UsageError } from "./errors.js";
import { Feed, type WebSocketClass } from "./feed.js";
import { Position } from "./position.js";

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

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2_000;

/**
 * The items of a topic, one after the other, without end. `timeout` in milliseconds is how long a node may be out of
 * reach. Throws `Unreachable` then, `BadAnswer`, and the `RpcError` of a subscription that the node refuses.
 */
export async function* follow(
  url: string,
  WebSocketOf: WebSocketClass | undefined,
  timeout: number,
  topic: Topic,
  { from, filter, signal }: FollowOptions,
): AsyncGenerator<Notification> {
  if (WebSocketOf === undefined) throw new UsageError("there is no WebSocket here: give the class of the package ws");
  const position = new Position(from);
  let lostAt: number | undefined;
  let pause = FIRST_PAUSE_MS;
  while (!signal?.aborted) {
    let reason = "the connection was closed";
    position.resume();
    const feed = new Feed(url.replace(/^http/, "ws"), WebSocketOf, timeout, signal);
    try {
      const { cursor } = position;
      const params = { topic, ...(cursor === undefined ? {} : { from: cursor }), ...(filter ? { filter } : {}) };
      for await (const item of feed.read(params)) {
        lostAt = undefined;
        pause = FIRST_PAUSE_MS;
        if (typeof item === "number") position.begin(item);
        else if (position.isNew(item)) yield item;
      }
    } catch (error) {
      if (!(error instanceof NodeBusy)) throw error;
      reason = error.message;
    } finally {
      feed.close();
    }
    if (signal?.aborted) return;
    lostAt ??= Date.now();
    if (Date.now() - lostAt > timeout) throw new Unreachable(url, reason, false);
    await rest(pause, signal);
    pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
  }
}

/** That many milliseconds, or less if the signal comes. */
function rest(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    signal?.addEventListener("abort", end);
  });
}
