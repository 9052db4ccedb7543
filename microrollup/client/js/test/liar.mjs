// A node between the client and the real one that changes answers.

import { createServer } from "node:http";

/** Resolves to `{url, stop, lie}`; `lie(method, change)` puts `change(result)` in the place of a method's result. */
export async function startLiar(url) {
  const lies = new Map();
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString();
    const change = lies.get(JSON.parse(body).method);
    if (change === "hang-up") return request.socket.destroy();
    const real = await fetch(url, { method: "POST", headers: { "Content-Type": "application/json" }, body });
    const answer = await real.json();
    if (change === "swallow") return request.socket.destroy();
    if (change !== undefined && answer.result !== undefined) answer.result = change(answer.result);
    response.setHeader("Content-Type", "application/json").end(JSON.stringify(answer));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    lie: (method, change) => lies.set(`rollup_${method}`, change),
    repent: () => lies.clear(),
    stop: () => new Promise((resolve) => server.close(resolve)),
  };
}
