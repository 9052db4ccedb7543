// What the package's `explain` says, for tests of operations that are made elsewhere: a line of JSON for each question on
// standard input, `{chain, operation, shown, chainIds}`, a line for each answer. It ends with its standard input.

import { mkdir, rm } from "node:fs/promises";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { createPublicClient, http } from "viem";

const root = fileURLToPath(new URL("..", import.meta.url));
const outfile = `${root}node_modules/.cache/judge-${process.pid}.mjs`;
const external = ["viem", "viem/*"];
const mainFields = ["module", "main"];
await mkdir(`${root}node_modules/.cache`, { recursive: true });
await build({ absWorkingDir: root, entryPoints: ["src/index.ts"], outfile, bundle: true, format: "esm", external, mainFields });
const { explain } = await import(outfile);
await rm(outfile);

const NUMBERS = new Set([
  "nonce",
  "callGasLimit",
  "verificationGasLimit",
  "preVerificationGas",
  "maxFeePerGas",
  "maxPriorityFeePerGas",
  "paymasterVerificationGasLimit",
  "paymasterPostOpGasLimit",
]);
for await (const line of createInterface({ input: process.stdin })) {
  const { chain, operation, shown, chainIds } = JSON.parse(line);
  const numbers = Object.entries(operation).map(([name, value]) => [name, NUMBERS.has(name) ? BigInt(value) : value]);
  const client = createPublicClient({ transport: http(chain) });
  const answer = await explain(Object.fromEntries(numbers), client, { shown, chainIds }).catch((error) => ({ error: String(error) }));
  console.log(JSON.stringify(answer));
}
