// The client against a node that answers as it likes.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { test } from "node:test";
import { toHex } from "viem";
import { BadAnswer, KeystoreClient } from "../dist/index.js";

const SENDER = `0x${"11".repeat(20)}`;
const makeItem = (number) => ({ key: toHex(number, { size: 32 }), data: "0x", vk: SENDER });

/** What `accountsOf` makes of a node's pages; `answer(params)` is one. */
async function list(answer, options) {
  let calls = 0;
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const { id, params } = JSON.parse(Buffer.concat(chunks));
    calls += 1;
    response.end(JSON.stringify({ jsonrpc: "2.0", id, result: answer(params) }));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    const keystore = new KeystoreClient({ url: `http://127.0.0.1:${server.address().port}` });
    return { found: await keystore.accountsOf(SENDER, options), calls };
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

test("accounts without end are taken up to the limit, page by page", async () => {
  const endless = ({ after = "0x0", limit }) => {
    const first = Number(after) + 1;
    const items = Array.from({ length: Number(limit) }, (_, index) => makeItem(first + index));
    return { items, next: items.at(-1).key };
  };
  const { found, calls } = await list(endless);
  assert.deepEqual([found.length, calls], [1_000, 5]);
  const more = await list(endless, { after: found.at(-1).key, limit: 201 });
  assert.deepEqual(more.found.map(({ key }) => Number(key)), Array.from({ length: 201 }, (_, index) => 1_001 + index)); // prettier-ignore
  const flood = await list(() => ({ items: Array.from({ length: 5_000 }, (_, index) => makeItem(index)), next: null }));
  assert.equal(flood.found.length, 1_000);
});

test("invalid pages, and pages that lead nowhere", async () => {
  const [item] = [makeItem(1)];
  const pages = [
    null, 7, [], {}, { items: null, next: null }, { items: [7], next: null }, { items: [null], next: null },
    { items: [{ ...item, vk: 7 }], next: null }, { items: [item], next: 7 }, { items: [item] },
    { items: [item], next: item.key }, { items: [], next: item.key },
  ]; // prettier-ignore
  for (const page of pages) await assert.rejects(list(() => page), BadAnswer, JSON.stringify(page)); // prettier-ignore
});
