// Loaded before the bundler's own code, which listens on every interface, at a port that must be named, and goes by the
// machine's clock. Here it listens on a free port of the loopback and says on which, and its clock is the number of
// seconds in the file that CLOCK names. It gives its node ten seconds for an answer, which tracing what is computed in
// Solidity takes on a busy machine: here five minutes.
import { readFileSync } from "node:fs";
import { register } from "node:module";
import { Server } from "node:net";

const { listen } = Server.prototype;

Server.prototype.listen = function listenOnLoopback() {
  this.once("listening", () => console.log(`listening on http://127.0.0.1:${this.address().port}`));
  return listen.call(this, { host: "127.0.0.1", port: 0 });
};

Date.now = () => 1_000 * Number(readFileSync(process.env.CLOCK, "utf8"));

const { setTimeout: start } = globalThis;
const ANSWER_MS = 10_000;

globalThis.setTimeout = Object.defineProperties(
  (call, delay, ...given) => start(call, delay === ANSWER_MS ? 30 * ANSWER_MS : delay, ...given),
  Object.getOwnPropertyDescriptors(start),
);

register("./resolve.mjs", import.meta.url);
