// The packed package in a fresh project: the README's lines, as a newcomer types them.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { createPublicClient, http } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { KeystoreClient, configureEcdsa } from "../dist/index.js";
import { startSite } from "./site.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const { devDependencies } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
let site, project;

before(async () => {
  site = await startSite();
  project = await mkdtemp(join(tmpdir(), "microrollup-keystore-"));
});
after(async () => {
  await site.stop();
  await rm(project, { recursive: true, force: true });
});

const run = (command, ...args) => execFileSync(command, args, { cwd: project, encoding: "utf8", stdio: "pipe" });

test("the README's lines work where the package was installed", async () => {
  const somebody = privateKeyToAccount(`0x${"33".repeat(32)}`);
  const keystore = new KeystoreClient({ url: site.node });
  const ack = await keystore.register(configureEcdsa(somebody.address), `0x${"00".repeat(32)}`, somebody);
  await keystore.wait(ack, "C3B");
  await site.command("mirror");

  execFileSync("npm", ["pack", "--ignore-scripts", "--pack-destination", project], { cwd: root, stdio: "pipe" });
  await writeFile(join(project, "package.json"), '{"type": "module", "private": true}');
  const tools = ["viem", "typescript"].map((name) => `${name}@${devDependencies[name]}`);
  run("npm", "install", "--prefer-offline", "--no-audit", "--no-fund", "./microrollup-keystore-0.1.0.tgz", ...tools);
  await writeFile(
    join(project, "deployment.ts"),
    `import { defineChain } from "viem";
     export const chain = defineChain({ id: ${site.chainId}, name: "l2",
       nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 }, rpcUrls: { default: { http: ["${site.chain}"] } } });
     export const deployment = { factory: "${site.factory}", roots: "${site.roots}" } as const;
     export const [keystoreUrl, bundlerUrl] = ["${site.node}", "${site.bundler}"];`,
  );
  const [, code] = /```ts\n([^]*?)```/.exec(await readFile(join(root, "README.md"), "utf8"));
  await writeFile(join(project, "lines.ts"), code);
  run("npx", "tsc", "--strict", "--target", "es2022", "--module", "nodenext", "--skipLibCheck", "lines.ts");
  // The ether comes where the README says so: after the address is printed.
  const script = (await readFile(join(project, "lines.js"), "utf8")).replace(
    "console.log(account.address);",
    "console.log(account.address); for await (const _ of process.stdin) break;",
  );
  await writeFile(join(project, "lines.js"), script);
  const child = spawn("node", ["lines.js"], { cwd: project, stdio: ["pipe", "pipe", "inherit"] });
  const said = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const { value: address } = await said.next();
  await site.command("fund", address);
  child.stdin.end("funded\n");
  const { value: hash } = await said.next();
  await once(child, "close");
  assert.match(hash, /^0x[0-9a-f]{64}$/);
  await site.command("bundle");
  const chain = createPublicClient({ transport: http(site.chain) });
  assert.notEqual(await chain.getCode({ address }), undefined);
});
