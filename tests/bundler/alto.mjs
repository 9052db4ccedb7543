// Loaded before the bundler's own code, which listens on every interface, at a port that must be named, and goes by the
// machine's clock. Here it listens on a free port of the loopback and says on which, and its clock is the number of
// seconds in the file that CLOCK names.
import { readFileSync } from "node:fs";
import { register } from "node:module";
import { Server } from "node:net";

const { listen } = Server.prototype;

Server.prototype.listen = function listenOnLoopback() {
  this.once("listening", () => console.log(`listening on http://127.0.0.1:${this.address().port}`));
  return listen.call(this, { host: "127.0.0.1", port: 0 });
};

Date.now = () => 1_000 * Number(readFileSync(process.env.CLOCK, "utf8"));

register("./resolve.mjs", import.meta.url);
