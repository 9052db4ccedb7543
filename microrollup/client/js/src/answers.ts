// Bytes from a node: how many are taken, and what they have to be. Whatever is wrong with them is a `BadAnswer`.

import { BadAnswer, RollupError, makeRpcError } from "./errors.js";

/** A hundred full blocks in hex are larger; ask for fewer. */
export const MAX_ANSWER_BYTES = 64 << 20;

/** The text of a response. Throws `BadAnswer` beyond the limit, which counts what was decompressed, and for bytes that are not UTF-8. */
export async function readBody(response: Response): Promise<string> {
  if (response.body === null) return "";
  const reader = response.body.getReader();
  const parts: Uint8Array[] = [];
  let size = 0;
  try {
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      size += read.value.length;
      if (size > MAX_ANSWER_BYTES) throw new BadAnswer(`an answer of more than ${MAX_ANSWER_BYTES} bytes`);
      parts.push(read.value);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return readAs("text", whole, (bytes) => new TextDecoder("utf-8", { fatal: true }).decode(bytes));
}

/** The object that a text of JSON holds. Throws `BadAnswer`. */
export function parseObject(text: string): Readonly<Record<string, unknown>> {
  const value = readAs("JSON", text, (given) => JSON.parse(given) as unknown);
  if (!isObject(value)) throw new BadAnswer("an answer that is not a JSON object");
  return value;
}

/** The result in the answer to the call number `id`. Throws `BadAnswer`, or what the node's error stands for. */
export function takeResult(answer: Readonly<Record<string, unknown>>, id: number): unknown {
  if (answer["jsonrpc"] !== "2.0") throw new BadAnswer("an answer that is not of JSON-RPC 2.0");
  if ("error" in answer) throw makeRpcError(answer["error"]);
  if (answer["id"] !== id || !("result" in answer)) throw new BadAnswer("an answer to another call");
  return answer["result"];
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What `read` makes of an answer. Where it meets members of another form than it goes by, that is a `BadAnswer`. */
export function readAs<answer, result>(form: string, answer: answer, read: (answer: answer) => result): result {
  try {
    return read(answer);
  } catch (error) {
    throw error instanceof RollupError ? error : new BadAnswer(`an answer that is not a valid ${form}: ${(error as Error).message}`);
  }
}
