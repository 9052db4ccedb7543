// JSON-RPC 2.0 over HTTP. A call that got no answer is sent again until its time is up.

import { parseObject, readBody, takeResult } from "./answers.js";
import { BadAnswer, NodeBusy, RateExceeded, RollupError, Unreachable, UsageError } from "./errors.js";

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2_000;
const ATTEMPT_MS = 10_000;
const TOO_MANY_REQUESTS = 429;
const SERVER_ERROR = 500;

/** Calls methods of one node by their full names. */
export class Transport {
  readonly url: string;
  readonly #timeout: number;
  readonly #headers: Readonly<Record<string, string>>;
  #calls = 0;

  /** `timeout` in milliseconds is for a whole call, repetitions included; `token` goes with each as a bearer's. */
  constructor(url: string, timeout: number, token?: string) {
    if (!/^https?:\/\//.test(url) || !URL.canParse(url)) throw new UsageError(`${url} is not an address of a node`);
    this.url = url;
    if (token !== undefined && !/^[A-Za-z0-9._~+/-]+=*$/.test(token))
      throw new UsageError("the token is not made of letters, digits and -._~+/ (RFC 6750)");
    this.#timeout = timeout;
    this.#headers = {
      "content-type": "application/json",
      accept: "application/json",
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    };
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
        } else if (error instanceof RollupError) throw error;
        else {
          busy = undefined;
          reason = explain(error);
          if (!wasNeverSent(error)) sent = true;
        }
      }
      const rest = Math.max(least, pause * (0.5 + Math.random() / 2));
      await new Promise((resolve) => setTimeout(resolve, Math.min(rest, Math.max(0, deadline - Date.now()))));
      pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
    }
    throw busy ?? new Unreachable(this.url, reason, sent);
  }

  /** One attempt. What may pass by itself is thrown as an error that is no `RollupError`. */
  async #try(method: string, params: object, timeout: number): Promise<unknown> {
    const id = ++this.#calls;
    const body = JSON.stringify({ jsonrpc: "2.0", id, method, params });
    const response = await fetch(this.url, {
      method: "POST",
      headers: this.#headers,
      body,
      redirect: "manual",
      signal: AbortSignal.timeout(timeout),
    });
    const text = await readBody(response);
    const { status } = response;
    if (text.startsWith("{")) return takeResult(parseObject(text), id);
    if (status === TOO_MANY_REQUESTS || status >= SERVER_ERROR) throw new Error(`HTTP status ${status}`);
    throw new BadAnswer(`HTTP status ${status} with a body that is not a JSON object`);
  }
}

function explain(error: unknown): string {
  const { name, message, cause } = error as Error;
  if (name === "TimeoutError") return "it took too long";
  return cause instanceof Error ? cause.message : message;
}

/** Whether no byte of the call can have reached the node. */
function wasNeverSent(error: unknown): boolean {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    const code = (cause as { code?: unknown }).code;
    if (code === "ECONNREFUSED" || code === "ENOTFOUND" || code === "EAI_AGAIN") return true;
  }
  return false;
}
