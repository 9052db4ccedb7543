// The packed package in a fresh project: the README's lines, as a newcomer types them.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { startNode } from "./node.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const { devDependencies } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
let node, project;

before(async () => {
  node = await startNode("keystore");
  project = await mkdtemp(join(tmpdir(), "microrollup-project-"));
});
after(async () => {
  await node.stop();
  await rm(project, { recursive: true, force: true });
});

const run = (command, ...args) => execFileSync(command, args, { cwd: project, encoding: "utf8", stdio: "pipe" });

test("the README's lines work where the package was installed", async () => {
  execFileSync("npm", ["pack", "--ignore-scripts", "--pack-destination", project], { cwd: root, stdio: "pipe" });
  await writeFile(join(project, "package.json"), '{"type": "module", "private": true}');
  const tools = ["viem", "typescript", "@types/node"].map((name) => `${name}@${devDependencies[name]}`);
  run("npm", "install", "--prefer-offline", "--no-audit", "--no-fund", "./microrollup-client-0.1.0.tgz", ...tools);
  const installed = JSON.parse(run("npm", "ls", "--json", "--omit=dev")).dependencies["@microrollup/client"];
  assert.deepEqual(Object.keys(installed.dependencies ?? {}), []);

  await writeFile(join(project, "app.ts"), run("npx", "microrollup-types", node.url));
  const [, code] = /```ts\n([^]*?)```/.exec(await readFile(join(root, "README.md"), "utf8"));
  await writeFile(join(project, "lines.ts"), code.replace("http://127.0.0.1:8650", node.url));
  run("npx", "tsc", "--strict", "--target", "es2022", "--module", "nodenext", "--skipLibCheck", "lines.ts");
  const said = run("node", "lines.js").trim().split("\n");
  assert.equal(said[0], "executed");
  assert.match(said[1], /^true 0x[0-9a-f]{128}$/);
});
