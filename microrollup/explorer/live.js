// What happens now: blocks, receipts and confirmations over the WebSocket, resumed from a cursor after each break, and
// asked for over HTTP as long as there is none. Pages watch the one `feed`.

import { RpcError, call, callMany, makeRequest, readError } from "./rpc.js";

const KEPT_BLOCKS = 60;
const KEPT_RECEIPTS = 60;
const KEPT_CONFIRMATIONS = 40;
const FIRST_BLOCKS = 40;
const FIRST_RECEIPTS = 20;
const SILENCE_MS = 25_000;
const ANSWER_MS = 8_000;
const POLL_MS = 3_000;
const STATUS_MS = 5_000;
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 15_000;
const SAMPLE_FOR_MS = 30_000;
const SAMPLE_EVERY_MS = 2_000;
const REDRAW_MS = 200;

/** Owns the connection and what came over it. Dispatches `change` (throttled to frames) and `connection`. */
class Feed extends EventTarget {
  blocks = new Map();
  receipts = new Map();
  confirmations = [];
  heights = null;
  status = null;
  /** "connecting", "live", "polling" (no WebSocket) or "offline" (nothing answers). */
  connection = "connecting";
  retryAt = 0;
  #socket = null;
  #topics = new Map();
  #cursors = { blocks: null, receipts: null, confirmations: null };
  #waiting = new Map();
  #retries = 0;
  #lastMessage = 0;
  #frame = 0;
  #rollupId = null;
  #sampleUntil = 0;
  #sampleTimer = 0;
  #heightsHeard = 0;
  #timer = 0;

  /** Load what is newest, then connect. Goes on by itself for as long as the page is open. */
  async start() {
    await Promise.all([this.#refresh().catch(() => this.#setConnection("offline")), this.#pollStatus()]);
    this.#connect();
    setInterval(() => this.#watchSilence(), 5_000);
    setInterval(() => this.#subscribeReceiptsAgain(), 5_000);
    setInterval(() => this.connection !== "live" && this.#poll(), POLL_MS);
    setInterval(() => this.#pollStatus(), STATUS_MS);
    addEventListener("online", () => this.#connect());
    addEventListener("pagehide", () => this.#socket?.close());
  }

  /** Try again at once instead of after the pause. */
  reconnect() {
    this.#retries = 0;
    this.#connect();
  }

  /** Whether receipts come too fast for this browser, so that only the newest of some blocks are fetched. */
  get isSampling() {
    return Date.now() < this.#sampleUntil;
  }

  get newestBlocks() {
    return [...this.blocks.values()].sort((a, b) => b.height - a.height);
  }

  get newestReceipts() {
    return [...this.receipts.values()].sort((a, b) => b.seq - a.seq);
  }

  // HTTP: the beginning, and as long as there is no WebSocket

  /** The newest blocks and receipts; `again` also those that are known, as a restarted node may have built anew. */
  async #refresh({ again = false } = {}) {
    const heard = this.#heightsHeard;
    const heights = await call("height");
    if (heard === this.#heightsHeard) this.#setHeights(heights);
    for (const height of this.blocks.keys()) if (height > heights.latest) this.blocks.delete(height);
    const first = Math.max(0, heights.latest - FIRST_BLOCKS + 1);
    const wanted = [];
    for (let height = heights.latest; height >= first; height -= 1)
      if (again || !this.blocks.has(height)) wanted.push(height);
    for (const header of await callMany(
      "getHeader",
      wanted.map((height) => ({ height })),
    ))
      this.#addBlock(header);
    const newest = this.blocks.get(heights.latest);
    if (newest) await this.#fetchReceipts(newest.firstSeq + newest.actionCount);
    this.#changed();
  }

  async #fetchReceipts(nextSeq) {
    const wanted = [];
    for (let seq = nextSeq - 1; seq >= Math.max(0, nextSeq - FIRST_RECEIPTS); seq -= 1)
      if (!this.receipts.has(seq)) wanted.push(seq);
    for (const receipt of await callMany(
      "getReceipt",
      wanted.map((seq) => ({ seq })),
    ))
      this.#addReceipt(receipt);
  }

  async #poll() {
    try {
      await this.#refresh();
      if (this.#retries > 1) this.#setConnection("polling");
    } catch {
      this.#setConnection("offline");
    }
  }

  async #pollStatus() {
    try {
      const heard = this.#heightsHeard;
      this.status = await call("status");
      if (heard === this.#heightsHeard) this.#setHeights(this.status.height);
    } catch (error) {
      if (error.code !== 0) this.status = null;
    }
    this.#changed();
  }

  /** Heights that were asked for, unless newer ones were heard meanwhile. */
  #setHeights(heights) {
    this.heights = { ...heights, invalidFrom: this.status?.divergence?.height };
  }

  // WebSocket

  #connect() {
    clearTimeout(this.#timer);
    if (this.#socket) return;
    const url = new URL("./", document.baseURI);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    url.hash = url.search = "";
    const socket = new WebSocket(url.href);
    this.#socket = socket;
    socket.addEventListener("open", () => this.#subscribeAll().catch(() => socket.close()));
    socket.addEventListener("message", (event) => this.#receive(event.data));
    socket.addEventListener("close", () => this.#lost(socket));
  }

  async #subscribeAll() {
    this.#lastMessage = Date.now();
    this.#topics.clear();
    await this.#requireSameRollup();
    const topics = this.isSampling ? ["blocks", "confirmations"] : ["blocks", "confirmations", "receipts"];
    await Promise.all(topics.map((topic) => this.#subscribe(topic)));
    this.#retries = 0;
    this.#setConnection("live");
    this.#refresh({ again: true }).catch(() => {});
  }

  /** Another rollup at the same address, as while one is being developed: nothing that is shown is true any more. */
  async #requireSameRollup() {
    const { rollupId } = await this.#ask("config", {});
    if (this.#rollupId !== null && this.#rollupId !== rollupId) location.reload();
    this.#rollupId = rollupId;
  }

  /** From the last cursor seen, which may come once more: what is known already only replaces itself. */
  async #subscribe(topic) {
    const from = this.#cursors[topic];
    const params = from === null ? { topic } : { topic, from };
    let answer;
    try {
      answer = await this.#ask("subscribe", params);
    } catch (error) {
      if (!(error instanceof RpcError) || from === null || error.code === 0) throw error;
      this.#cursors[topic] = null; // no longer retained: begin with what is newest
      answer = await this.#ask("subscribe", { topic });
    }
    this.#topics.set(answer.subscription, topic);
  }

  async #subscribeReceiptsAgain() {
    if (this.connection !== "live" || this.isSampling || [...this.#topics.values()].includes("receipts")) return;
    this.#cursors.receipts = null;
    await this.#subscribe("receipts").catch(() => {});
  }

  #ask(method, params) {
    const request = makeRequest(method, params);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(request.id);
        reject(new RpcError(0, "no answer over the WebSocket"));
      }, ANSWER_MS);
      this.#waiting.set(request.id, { resolve, reject, timer });
      this.#socket.send(JSON.stringify(request));
    });
  }

  #receive(text) {
    this.#lastMessage = Date.now();
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return;
    }
    if (message.method === "rollup_subscription") {
      this.#notify(message.params ?? {});
      return;
    }
    const waiting = this.#waiting.get(message.id);
    if (!waiting) return;
    this.#waiting.delete(message.id);
    clearTimeout(waiting.timer);
    if (message.error) waiting.reject(readError(message.error));
    else waiting.resolve(message.result);
  }

  /** One event. Notifications may overtake the answer that names their subscription, so the shape decides too. */
  #notify({ subscription, cursor, result, error }) {
    if (error) this.#endSubscription(subscription, error);
    if (!result) return;
    const topic = this.#topics.get(subscription) ?? guessTopic(result);
    if (topic === "confirmations" && Number.isSafeInteger(cursor)) this.#cursors.confirmations = cursor;
    if (topic === "blocks") {
      this.#addBlock(result);
      this.#sample();
    }
    if (topic === "receipts") this.#addReceipt(result);
    if (topic === "confirmations") this.#addConfirmation(result);
    this.#changed();
  }

  /** The node's last word on a subscription; whatever it is, a new connection begins again. */
  #endSubscription(subscription, error) {
    const topic = this.#topics.get(subscription);
    if (error === "slow") this.#sampleUntil = Date.now() + SAMPLE_FOR_MS;
    else if (topic) this.#cursors[topic] = null;
    this.#socket?.close();
  }

  #sample() {
    if (!this.isSampling || this.#sampleTimer) return;
    this.#sampleTimer = setTimeout(() => {
      this.#sampleTimer = 0;
      const [newest] = this.newestBlocks;
      this.#fetchReceipts(newest.firstSeq + newest.actionCount).then(
        () => this.#changed(),
        () => {},
      );
    }, SAMPLE_EVERY_MS);
  }

  #lost(socket) {
    if (this.#socket !== socket) return;
    this.#socket = null;
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(new RpcError(0, "the connection was lost"));
    }
    this.#waiting.clear();
    const pause = Math.min(FIRST_RETRY_MS * 2 ** this.#retries, LAST_RETRY_MS) * (0.75 + Math.random() / 2);
    this.#retries += 1;
    this.retryAt = Date.now() + pause;
    this.#timer = setTimeout(() => this.#connect(), pause);
    this.#setConnection(this.#retries > 1 ? "polling" : "connecting");
    this.#poll();
  }

  /** A connection that is silent for long is asked; without an answer it counts as lost, whatever the system thinks. */
  #watchSilence() {
    const socket = this.#socket;
    if (socket?.readyState !== WebSocket.OPEN || Date.now() - this.#lastMessage < SILENCE_MS) return;
    this.#ask("height", {}).catch(() => {
      socket.close();
      this.#lost(socket);
    });
  }

  // What is known

  #addBlock(result) {
    const block = readBlock(result);
    if (!block) return;
    this.blocks.set(block.height, block);
    this.#cursors.blocks = Math.max(block.height, this.#cursors.blocks ?? 0);
    if (this.heights && block.height > this.heights.latest) this.#raise("latest", block.height);
    forgetOldest(this.blocks, KEPT_BLOCKS);
  }

  #addReceipt(receipt) {
    if (!receipt || !Number.isSafeInteger(receipt.seq)) return;
    this.receipts.set(receipt.seq, receipt);
    this.#cursors.receipts = Math.max(receipt.seq, this.#cursors.receipts ?? 0);
    forgetOldest(this.receipts, KEPT_RECEIPTS);
  }

  #addConfirmation(result) {
    const confirmation = { ...result, level: result.level ?? result.confirmation };
    const { height, level } = confirmation;
    if (!Number.isSafeInteger(height) || level === "C0" || level === "C1") return; // the blocks themselves say so
    if (this.confirmations.some((known) => known.height === height && known.level === level)) return;
    this.confirmations = [{ ...confirmation, at: Date.now() / 1000 }, ...this.confirmations].slice(
      0,
      KEPT_CONFIRMATIONS,
    );
    const name = { C2: "verified", C3A: "available", C3B: "settled" }[level];
    if (name && this.heights) this.#raise(name, Math.max(this.heights[name] ?? 0, height));
    if (level === "C2X") this.#pollStatus();
  }

  #raise(name, height) {
    this.#heightsHeard += 1;
    this.heights = { ...this.heights, [name]: height };
  }

  #setConnection(connection) {
    if (this.connection === connection) return;
    this.connection = connection;
    this.dispatchEvent(new Event("connection"));
  }

  #changed() {
    if (this.#frame) return;
    this.#frame = setTimeout(() => {
      this.#frame = 0;
      this.dispatchEvent(new Event("change"));
    }, REDRAW_MS);
  }
}

function guessTopic(result) {
  if (result.actionHash !== undefined) return "receipts";
  return result.header || result.stateRoot ? "blocks" : "confirmations";
}

/** A block as lists need it, from a header with its hash or from an object that holds one. */
function readBlock(result) {
  if (!result) return null;
  const header = result.header ?? result;
  if (!Number.isSafeInteger(header.height)) return null;
  return { ...header, hash: result.hash ?? header.hash };
}

function forgetOldest(map, kept) {
  if (map.size <= kept) return;
  const keys = [...map.keys()].sort((a, b) => a - b);
  for (const key of keys.slice(0, map.size - kept)) map.delete(key);
}

export const feed = new Feed();
