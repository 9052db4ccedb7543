// A real node for the tests: `microrollup run APP --port 0` in a directory of its own, stopped by its process id.

import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** Starts it and resolves to `{url, stop}` once it serves. `MICROROLLUP` names the command if it is not on the path. */
export async function startNode(app, ...options) {
  const directory = await mkdtemp(join(tmpdir(), "microrollup-js-"));
  const command = process.env.MICROROLLUP ?? "microrollup";
  const arguments_ = ["run", app, "--data", directory, "--port", "0", "--block-time", "250ms", "--json", ...options];
  const child = spawn(command, arguments_, { stdio: ["ignore", "pipe", "pipe"] });
  const said = [];
  child.stderr.on("data", (chunk) => said.push(String(chunk)));
  child.once("error", (error) => said.push(`${command}: ${error.message}; set MICROROLLUP to the command`));
  const ended = new Promise((resolve) => child.once("close", resolve));
  let url;
  for await (const line of createInterface({ input: child.stdout })) {
    said.push(line);
    url = /http:\/\/127\.0\.0\.1:\d+/.exec(line)?.[0];
    if (url !== undefined) break;
  }
  if (url === undefined) await ended;
  if (url === undefined) throw new Error(`the node did not start: ${said.join("\n")}`);
  return {
    url,
    async stop() {
      child.kill("SIGTERM");
      await ended;
      await rm(directory, { recursive: true, force: true });
    },
  };
}
