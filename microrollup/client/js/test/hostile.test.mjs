// The client against a server that keeps to no rule: limits hold, and what is wrong is an error of its class.

import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { privateKeyToAccount } from "viem/accounts";
import WebSocket from "ws";
import {
  ActionRefused, BadAnswer, QueryFailed, RollupClient, RpcError, Unauthorized, Unreachable, UsageError,
} from "../dist/index.js"; // prettier-ignore
import { makeAnswer, makeNotification, startHostile } from "./hostile.mjs";

const MEBI = 1 << 20;
const LIMIT = 64 * MEBI;
const WORD = `0x${"11".repeat(32)}`;

/** Run `use` against a server of that kind. */
async function against({ answer = () => {}, serve = () => {}, timeout = 5_000, token }, use) {
  const hostile = await startHostile(answer, serve);
  try {
    return await use(new RollupClient({ url: hostile.url, WebSocket, timeout, ...(token === undefined ? {} : { token }) }));
  } finally {
    await hostile.stop();
  }
}

const write = (body, headers = {}, status = 200) => (_, response) => response.writeHead(status, headers).end(body);

test("an answer without end is left at the limit", async () => {
  let written = 0;
  const answer = (_, response) => {
    const piece = Buffer.alloc(MEBI, " ");
    const more = () => {
      while (!response.destroyed && written < 4 * LIMIT) {
        written += MEBI;
        if (!response.write(piece)) return response.once("drain", more);
      }
    };
    response.write("{");
    more();
  };
  await against({ answer }, (client) => assert.rejects(client.call("getHeight", {}), BadAnswer));
  assert.ok(written < 2 * LIMIT, `${written} bytes were taken`);
});

test("the limit counts what a compressed answer becomes", async () => {
  const bomb = gzipSync(Buffer.alloc(LIMIT + 2, " "));
  await against({ answer: write(bomb, { "content-encoding": "gzip" }) }, (client) =>
    assert.rejects(client.call("getHeight", {}), /an answer of more than 67108864 bytes/));
});

const NO_ANSWERS = {
  "nothing": "",
  "no JSON": "{",
  "no UTF-8": Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
  "a list": "[]",
  "deep": `{"jsonrpc":"2.0","id":1,"result":${"[".repeat(200_000)}`,
  "another version": '{"id":1,"result":1}',
  "another call": '{"jsonrpc":"2.0","id":99,"result":1}',
  "no result": '{"jsonrpc":"2.0","id":1}',
  "no code": '{"jsonrpc":"2.0","id":1,"error":{"message":"no"}}',
  "no message": '{"jsonrpc":"2.0","id":1,"error":{"code":-32000}}',
  "no error": '{"jsonrpc":"2.0","id":1,"error":null}',
}; // prettier-ignore

test("what is not a valid answer", async () => {
  for (const [name, body] of Object.entries(NO_ANSWERS))
    await against({ answer: write(body) }, (client) => assert.rejects(client.call("getHeight", {}), BadAnswer, name));
  const elsewhere = write("", { location: "http://127.0.0.1:1/" }, 302);
  await against({ answer: elsewhere }, (client) => assert.rejects(client.call("getHeight", {}), /HTTP status 302/));
});

test("what may pass by itself is asked again, and the rest has its class", async () => {
  let calls = 0;
  const answer = (call, response) => {
    calls += 1;
    if (calls === 1) write("<html>", {}, 503)(call, response);
    else if (calls === 2) write("slow down", {}, 429)(call, response);
    else response.end(makeAnswer(call, 7));
  };
  await against({ answer }, async (client) => assert.equal(await client.call("getHeight", {}), 7));
  assert.equal(calls, 3);
  const says = (code, data) => (call, response) =>
    response.end(JSON.stringify({ jsonrpc: "2.0", id: call.id, error: { code, message: "no", data } }));
  await against({ answer: says(-32_007, { code: "steps", detail: "too many steps" }) }, (client) =>
    assert.rejects(client.query("app_all"), (error) =>
      error instanceof QueryFailed && error.reason === "steps" && error.detail === "too many steps"));
  await against({ answer: says(-32_008) }, (client) =>
    assert.rejects(client.query("app_all"), (error) => error instanceof Unauthorized));
  await against({ answer: says(-32_005) }, (client) =>
    assert.rejects(client.query("app_all"), (error) => error.constructor === RpcError));
  await against({ answer: says(-32_000, 7) }, (client) =>
    assert.rejects(client.query("app_all"), (error) => error instanceof ActionRefused && error.refusal === "refused"));
}); // prettier-ignore

test("a token goes with each call, and nothing but a token", async () => {
  const answer = (call, response) => response.end(makeAnswer(call, response.req.headers.authorization ?? null));
  await against({ answer, token: "a-token-of-16-letters=" }, async (client) =>
    assert.equal(await client.query("app_all"), "Bearer a-token-of-16-letters="));
  await against({ answer }, async (client) => assert.equal(await client.query("app_all"), null));
  for (const token of ["", "a b", "a\r\nx-other: b", "\u00e9"])
    assert.throws(() => new RollupClient({ url: "http://127.0.0.1:1", token }), UsageError);
}); // prettier-ignore

const SHAPES = [null, 7, "", [], {}, { next: "x", level: "C9", height: {}, events: 3, hash: null, leaf: 0, actions: null }];
const CONFIG = {
  rollupId: WORD, builder: `0x${"22".repeat(20)}`, inbox: `0x${"33".repeat(20)}`, l1ChainId: 1, name: "an app", version: "1",
  domain: { name: "an app", version: "1", chainId: 1, verifyingContract: `0x${"33".repeat(20)}` },
  actions: [{ name: "Go", typeString: "Go(uint64 nonce)", types: { Go: [{ name: "nonce", type: "uint64" }] } }],
  fields: [{ name: "items", settled: true, number: 0, keyType: "bytes32" }], events: [],
}; // prettier-ignore

test("answers of another form than the method's", async () => {
  let shape;
  const answer = (call, response) => response.end(makeAnswer(call, call.method === "rollup_config" ? CONFIG : shape));
  const account = privateKeyToAccount(WORD);
  const signed = { type: "Go", message: { nonce: "0" }, signature: "0x", sender: account.address };
  await against({ answer }, async (client) => {
    for (shape of SHAPES)
      for (const ask of [
        () => client.getNonce(account.address),
        () => client.submitSigned(signed),
        () => client.submit({ type: "Go", message: {} }, account),
        () => client.wait(1, "C2"),
        () => client.getProof("items", WORD),
        () => client.getProof("items", WORD, { stateRoot: WORD }),
        () => client.getHeader(1),
      ])
        await assert.rejects(ask(), BadAnswer, `${ask} ${JSON.stringify(shape)}`);
  });
  const configs = [{ actions: 7 }, { actions: [{ name: "Go" }] }, { events: [{ name: "Went", types: {} }] }, { fields: [null] }];
  for (shape of [null, 7, [], {}, ...configs.map((wrong) => ({ ...CONFIG, ...wrong }))]) {
    const lie = (call, response) => response.end(makeAnswer(call, shape));
    await against({ answer: lie }, (client) => assert.rejects(client.sign({ type: "Go", message: {} }, account), BadAnswer));
  }
});

test("invalid addresses", () => {
  for (const url of ["", "ws://127.0.0.1", "http://", "http://[", "file:///tmp"])
    assert.throws(() => new RollupClient({ url }), UsageError, url);
});

// Over a WebSocket

const take = async (items, count = 1) => {
  const found = [];
  for await (const item of items) if (found.push(item) === count) break;
  return found;
};

const NO_ITEMS = {
  "no JSON": ["{"],
  "a list": ["[]"],
  "no text": [Buffer.from("{}")],
  "deep": ["[".repeat(500_000)],
  "no params": ['{"method":"rollup_subscription"}'],
  "params that are a list": ['{"method":"rollup_subscription","params":[]}'],
  "a cursor that is text": ['{"method":"rollup_subscription","params":{"cursor":"1","result":{}}}'],
  "a cursor beyond 2^53": ['{"method":"rollup_subscription","params":{"cursor":9007199254740993,"result":{}}}'],
  "no result": ['{"method":"rollup_subscription","params":{"cursor":1}}'],
  "no cursor in the answer": ['{"jsonrpc":"2.0","id":1,"result":{}}'],
  "another call's answer": ['{"jsonrpc":"2.0","id":2,"result":{"cursor":0}}'],
  "an invalid error": ['{"jsonrpc":"2.0","id":1,"error":7}'],
  "items without an answer": Array.from({ length: 1_001 }, (_, index) => makeNotification(index)),
}; // prettier-ignore

test("what is not a valid notification ends the subscription with an error", async () => {
  for (const [name, messages] of Object.entries(NO_ITEMS)) {
    const serve = (socket) => messages.forEach((message) => socket.send(message));
    await against({ serve }, (client) => assert.rejects(take(client.follow("blocks")), BadAnswer, name));
  }
});

/** Serves items `from` on up to `end`, as fast as the connection takes them; `ended` is called when one has ended. */
const flood = (end, seen, ended) => (socket, call) => {
  const from = call.params.from ?? 0;
  seen.push(from);
  socket.once("close", ended);
  socket.send(makeAnswer(call, { cursor: from }));
  for (let cursor = from; cursor < end; cursor += 1) socket.send(makeNotification(cursor));
};

test("a reader that is slower than the node gets everything, once, and keeps little", async () => {
  const [end, seen] = [3_500, []];
  let ended;
  const isEnded = new Promise((resolve) => (ended = resolve));
  await against({ serve: flood(end, seen, ended) }, async (client) => {
    const cursors = [];
    for await (const { cursor } of client.follow("receipts", { from: 0 })) {
      if (cursors.length === 0) await isEnded; // all that fits has come
      cursors.push(cursor);
      if (cursor === end - 1) break;
    }
    assert.deepEqual(cursors, Array.from({ length: end }, (_, index) => index));
  });
  assert.ok(seen.length > 1, "the first connection brought all");
});

test("few items that are large are bounded too", async () => {
  const large = "x".repeat(LIMIT / 3);
  const seen = [];
  let ended;
  const isEnded = new Promise((resolve) => (ended = resolve));
  const serve = (socket, call) => {
    seen.push(call.params.from);
    socket.once("close", ended);
    socket.send(makeAnswer(call, { cursor: call.params.from }));
    for (let cursor = call.params.from; cursor < 4; cursor += 1) socket.send(makeNotification(cursor, { large }));
  };
  await against({ serve, timeout: 60_000 }, async (client) => {
    const cursors = [];
    for await (const { cursor } of client.follow("receipts", { from: 0 })) {
      if (cursors.length === 0) await isEnded; // all that fits has come
      cursors.push(cursor);
      if (cursor === 3) break;
    }
    assert.deepEqual(cursors, [0, 1, 2, 3]);
  });
  assert.ok(seen.length > 1, "the first connection brought all");
});

test("a message beyond the limit ends the connection, not the process", async () => {
  const serve = (socket) => socket.send("x".repeat(LIMIT + 1));
  await against({ serve, timeout: 100 }, (client) => assert.rejects(take(client.follow("blocks")), Unreachable));
});

test("a lost connection loses nothing and tells nothing twice", async () => {
  const seen = [];
  const confirmed = (level) => ({ number: 1, confirmation: { level } });
  const rounds = [
    [(socket) => socket.close()],
    [makeNotification(5, { event: "a" }), makeNotification(5, { event: "a" }), makeNotification(5, confirmed("C1")), (socket) => socket.terminate()],
    [makeNotification(5, { event: "a" }), makeNotification(5, { event: "a" }), makeNotification(5, confirmed("C2")), makeNotification(5, { event: "b" }),
      '{"method":"rollup_subscription","params":{"error":{"code":-32004,"message":"too slow"}}}'],
    [makeNotification(6)],
  ]; // prettier-ignore
  const serve = (socket, call) => {
    const round = rounds[seen.length];
    seen.push(call.params.from);
    socket.send(makeAnswer(call, { cursor: call.params.from ?? 5 }));
    for (const message of round) typeof message === "string" ? socket.send(message) : setTimeout(message, 50, socket);
  };
  await against({ serve }, async (client) => {
    const items = await take(client.follow("events"), 5);
    assert.deepEqual(items.map(({ cursor }) => cursor), [5, 5, 5, 5, 6]); // prettier-ignore
    assert.deepEqual(items.map(({ result }) => result.event), ["a", "a", undefined, "b", undefined]); // prettier-ignore
  });
  assert.deepEqual(seen, [undefined, 5, 5, 5]);
});

test("nobody there, and who no longer listens", async () => {
  const client = new RollupClient({ url: "http://127.0.0.1:1", WebSocket, timeout: 200 });
  await assert.rejects(take(client.follow("blocks")), Unreachable);
  const patient = new RollupClient({ url: "http://127.0.0.1:1", WebSocket, timeout: 600_000 });
  assert.deepEqual(await take(patient.follow("blocks", { signal: AbortSignal.timeout(300) })), []);
  const refused = (socket, { id }) => socket.send(JSON.stringify({ jsonrpc: "2.0", id, error: { code: -32_602, message: "no" } }));
  await against({ serve: refused }, (told) => assert.rejects(take(told.follow("blocks")), RpcError));
});
