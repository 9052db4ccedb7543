// A server that answers HTTP and WebSockets as a test says, and keeps to no rule.

import { once } from "node:events";
import { createServer } from "node:http";
import { WebSocketServer } from "ws";

/** Resolves to `{url, stop}`. `answer(call, response)` is for HTTP, `serve(socket, call)` for the first message of a WebSocket. */
export async function startHostile(answer, serve) {
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    answer(JSON.parse(Buffer.concat(chunks)), response);
  });
  const sockets = new WebSocketServer({ server, maxPayload: 1 << 20 });
  sockets.on("connection", (socket) => {
    socket.on("error", () => {});
    socket.once("message", (data) => serve(socket, JSON.parse(data)));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    async stop() {
      for (const socket of sockets.clients) socket.terminate();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A whole answer to a call. */
export const makeAnswer = ({ id }, result) => JSON.stringify({ jsonrpc: "2.0", id, result });

/** A notification, as a node sends it. */
export const makeNotification = (cursor, result = { cursor }) =>
  JSON.stringify({ jsonrpc: "2.0", method: "rollup_subscription", params: { subscription: 1, cursor, result } });
