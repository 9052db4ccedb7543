// What may go wrong between a program and a node. Every error is a `RollupError`; `name` tells the kind.

/** Root of all errors of this package. */
export class RollupError extends Error {
  override readonly name: string = "RollupError";
}

/** The node answered with a JSON-RPC error. */
export class RpcError extends RollupError {
  override readonly name: string = "RpcError";
  constructor(
    readonly code: number,
    message: string,
    readonly data?: unknown,
  ) {
    super(message);
  }
}

/** -32000: the action was never logged. `refusal` is a stable code, `detail` a sentence. */
export class ActionRefused extends RpcError {
  override readonly name = "ActionRefused";
  readonly refusal: string;
  readonly detail: string;
  constructor(code: number, message: string, data?: unknown) {
    super(code, message, data);
    const facts = (data ?? {}) as { code?: unknown; detail?: unknown };
    this.refusal = typeof facts.code === "string" ? facts.code : "refused";
    this.detail = typeof facts.detail === "string" ? facts.detail : message;
  }
}

/** -32001: the node does not know it. */
export class NotFound extends RpcError {
  override readonly name = "NotFound";
}

/** -32002: the node keeps the state of newer heights only. */
export class HeightNotRetained extends RpcError {
  override readonly name = "HeightNotRetained";
}

/** -32003: the node takes no actions. Wait, or force the action through L1. */
export class IntakeClosed extends RpcError {
  override readonly name = "IntakeClosed";
}

/** -32004: a limit of the node; nothing was taken. The client has tried again until its time was up. */
export class NodeBusy extends RpcError {
  override readonly name: string = "NodeBusy";
}

/** -32006: too many calls from this address; there is room after `retryAfter` milliseconds. */
export class RateExceeded extends NodeBusy {
  override readonly name = "RateExceeded";
  readonly retryAfter: number;
  constructor(code: number, message: string, data?: unknown) {
    super(code, message, data);
    const stated = (data as { retryAfterMs?: unknown } | undefined)?.retryAfterMs;
    this.retryAfter = typeof stated === "number" && stated > 0 ? stated : 0;
  }
}

/** -32007: a query of the app's own has no answer. `reason` is a stable code, `detail` a sentence. */
export class QueryFailed extends RpcError {
  override readonly name = "QueryFailed";
  readonly reason: string;
  readonly detail: string;
  constructor(code: number, message: string, data?: unknown) {
    super(code, message, data);
    const facts = (data ?? {}) as { code?: unknown; detail?: unknown };
    this.reason = typeof facts.code === "string" ? facts.code : "failed";
    this.detail = typeof facts.detail === "string" ? facts.detail : message;
  }
}

/** -32008: the node takes actions from those who send one of its tokens; nothing was taken. */
export class Unauthorized extends RpcError {
  override readonly name = "Unauthorized";
}

/** No answer came within the time. `sent` tells whether the call may have reached the node. */
export class Unreachable extends RollupError {
  override readonly name = "Unreachable";
  constructor(
    readonly url: string,
    reason: string,
    readonly sent: boolean,
  ) {
    super(`${url} does not answer: ${reason}`);
  }
}

/** The node's answer does not hold: a wrong signature, hash or proof. Do not trust this node. */
export class BadAnswer extends RollupError {
  override readonly name: string = "BadAnswer";
}

/** A proof that does not prove what was asked for. */
export class ProofInvalid extends BadAnswer {
  override readonly name = "ProofInvalid";
}

/** The node serves another rollup, or is another operator's, than the one named. */
export class ForeignNode extends RollupError {
  override readonly name = "ForeignNode";
}

/** The action was sent and no answer came. Send `signed` again with `submitSigned`; never sign it anew. */
export class OutcomeUnknown extends RollupError {
  override readonly name = "OutcomeUnknown";
  constructor(
    readonly signed: SignedAction,
    reason: string,
  ) {
    super(`whether ${signed.type} was taken is not known: ${reason}; send the same bytes again`);
  }
}

/** A verifier found the block wrong (C2X), or the builder replaced it (C1X). */
export class BlockInvalid extends RollupError {
  override readonly name = "BlockInvalid";
}

/** The level was not reached in time. Wait on. */
export class ConfirmationTimeout extends RollupError {
  override readonly name = "ConfirmationTimeout";
}

/** What was given cannot be used. */
export class UsageError extends RollupError {
  override readonly name = "UsageError";
}

/** An action as a node takes it: JSON with integers as decimal strings. */
export interface SignedAction {
  readonly type: string;
  readonly message: Readonly<Record<string, unknown>>;
  readonly signature: `0x${string}`;
  readonly sender: `0x${string}`;
}

const CLASSES: Readonly<Record<number, new (code: number, message: string, data?: unknown) => RpcError>> = {
  [-32000]: ActionRefused,
  [-32001]: NotFound,
  [-32002]: HeightNotRetained,
  [-32003]: IntakeClosed,
  [-32004]: NodeBusy,
  [-32006]: RateExceeded,
  [-32007]: QueryFailed,
  [-32008]: Unauthorized,
};

/** The error of its class, from the `error` of an answer. Throws `BadAnswer` if that is none. */
export function makeRpcError(error: unknown): RpcError {
  const { code, message, data } = (error ?? {}) as { code?: unknown; message?: unknown; data?: unknown };
  if (!Number.isSafeInteger(code) || typeof message !== "string")
    throw new BadAnswer("the error of an answer has no code or no message");
  return new (CLASSES[code as number] ?? RpcError)(code as number, message, data);
}
