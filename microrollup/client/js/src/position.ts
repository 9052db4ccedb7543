// Where a subscription stands: the last cursor, and what came at it, which a resumed one may bring again.

import { MAX_ANSWER_BYTES } from "./answers.js";
import type { Notification } from "./following.js";

/** Items at one cursor that are known again; beyond, and beyond the size of one answer, the oldest may come twice. */
const MAX_SEEN = 10_000;

export class Position {
  readonly #seen = new Map<string, number>();
  #size = 0;
  #again = new Map<string, number>();

  constructor(public cursor: number | undefined) {}

  /** Note where the node begins, if nothing else is known. */
  begin(cursor: number): void {
    this.cursor ??= cursor;
  }

  /** What is known at the cursor may come again. */
  resume(): void {
    this.#again = new Map(this.#seen);
  }

  isNew({ cursor, result }: Notification): boolean {
    if (cursor !== this.cursor) {
      this.cursor = cursor;
      this.#seen.clear();
      this.#again.clear();
      this.#size = 0;
    }
    // How far something is by now is not what it is: told again, it may have come further.
    const { confirmation: _, ...fixed } = result as Record<string, unknown>;
    const text = JSON.stringify(fixed);
    const times = this.#again.get(text) ?? 0;
    if (times > 0) {
      this.#again.set(text, times - 1);
      return false;
    }
    const known = this.#seen.get(text);
    if (known === undefined) this.#size += text.length;
    this.#seen.set(text, (known ?? 0) + 1);
    this.#forget();
    return true;
  }

  #forget(): void {
    for (const text of this.#seen.keys()) {
      if (this.#seen.size <= MAX_SEEN && this.#size <= MAX_ANSWER_BYTES) return;
      this.#seen.delete(text);
      this.#size -= text.length;
    }
  }
}
