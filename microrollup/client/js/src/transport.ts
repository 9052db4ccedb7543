// JSON-RPC 2.0 over HTTP. A call that got no answer is sent again until its time is up.

import { HttpRequestError, TimeoutError } from "viem";
import { getHttpRpcClient } from "viem/utils";
import { BadAnswer, NodeBusy, RateExceeded, Unreachable, UsageError, makeRpcError } from "./errors.js";

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2_000;
const ATTEMPT_MS = 10_000;

/** Calls methods of one node by their full names. */
export class Transport {
  readonly url: string;
  readonly #timeout: number;
  readonly #post: ReturnType<typeof getHttpRpcClient>;

  /** `timeout` in milliseconds is for a whole call, repetitions included. */
  constructor(url: string, timeout: number) {
    if (!/^https?:\/\//.test(url)) throw new UsageError(`${url} is not an address of a node`);
    this.url = url;
    this.#timeout = timeout;
    this.#post = getHttpRpcClient(url);
  }

  /** The result of a method. Throws the `RpcError` that the node answered, `BadAnswer` or `Unreachable`. */
  async call(method: string, params: object): Promise<unknown> {
    const deadline = Date.now() + this.#timeout;
    let pause = FIRST_PAUSE_MS;
    let sent = false;
    let busy: NodeBusy | undefined;
    let reason = "there was no time to try";
    for (let left = this.#timeout; left > 0; left = deadline - Date.now()) {
      let least = 0;
      try {
        return await this.#try(method, params, Math.min(left, ATTEMPT_MS));
      } catch (error) {
        if (error instanceof NodeBusy) {
          busy = error;
          if (error instanceof RateExceeded) least = error.retryAfter;
        } else if (error instanceof HttpRequestError || error instanceof TimeoutError) {
          busy = undefined;
          reason = error instanceof TimeoutError ? "it took too long" : (error.details ?? error.shortMessage);
          if (!wasNeverSent(error)) sent = true;
        } else throw error;
      }
      const rest = Math.max(least, pause * (0.5 + Math.random() / 2));
      await new Promise((resolve) => setTimeout(resolve, Math.min(rest, Math.max(0, deadline - Date.now()))));
      pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
    }
    throw busy ?? new Unreachable(this.url, reason, sent);
  }

  async #try(method: string, params: object, timeout: number): Promise<unknown> {
    const answer: unknown = await this.#post.request({ body: { method, params }, timeout });
    if (answer === null || typeof answer !== "object") throw new BadAnswer("an answer that is not a JSON object");
    if ("error" in answer && answer.error !== undefined) throw makeRpcError(answer.error);
    if (!("result" in answer)) throw new BadAnswer("an answer that is not of JSON-RPC 2.0");
    return answer.result;
  }
}

/** Whether no byte of the call can have reached the node. */
function wasNeverSent(error: Error): boolean {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    const code = (cause as { code?: unknown }).code;
    if (code === "ECONNREFUSED" || code === "ENOTFOUND" || code === "EAI_AGAIN") return true;
  }
  return false;
}

