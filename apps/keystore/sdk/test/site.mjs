// A keystore's node, an L2 with the contracts and a bundler: `tests/support/keystore_site.py` of the checkout.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** Starts it; resolves to its addresses, `command(name, argument)` and `stop()`. `PYTHON` names the interpreter. */
export async function startSite() {
  const script = fileURLToPath(new URL("../../../../tests/support/keystore_site.py", import.meta.url));
  const child = spawn(process.env.PYTHON ?? "python", [script], {
    cwd: fileURLToPath(new URL("../../../..", import.meta.url)),
    stdio: ["pipe", "pipe", "pipe"],
  });
  const said = [];
  child.on("error", (error) => said.push(String(error)));
  child.stderr.on("data", (chunk) => said.push(String(chunk)));
  const ended = once(child, "close");
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const read = async () => {
    const { value, done } = await lines.next();
    if (!done) return JSON.parse(value);
    await ended;
    throw new Error(`the site ended: ${said.join("")}`);
  };
  const site = await read();
  return {
    ...site,
    async command(name, argument = "") {
      child.stdin.write(`${JSON.stringify([name, argument])}\n`);
      return read();
    },
    async stop() {
      child.stdin.end();
      await ended;
    },
  };
}
