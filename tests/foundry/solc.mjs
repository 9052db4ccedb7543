#!/usr/bin/env -S node --liftoff-only
// npm's solc behind the command line that forge expects: `--version`, or standard JSON from standard input. forge names some
// files that lie outside of its project twice, by a relative and by an absolute path: what is asked for by a name that forge
// did not send is read from the disk, as the native compiler does. With `--lines`, each line of standard input is standard
// JSON, and so is each line of the answer: what V8 has made of the compiler serves them all.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const readSource = (path) => {
  if (!path.startsWith("../") && !path.startsWith("/")) return { error: "not among the sources" };
  try {
    return { contents: readFileSync(path, "utf8") };
  } catch (error) {
    return { error: error.message };
  }
};

const solc = createRequire(import.meta.url)("solc");

if (process.argv.includes("--version")) {
  console.log(`solc, the solidity compiler commandline interface\nVersion: ${solc.version()}`);
} else if (process.argv.includes("--lines")) {
  for await (const line of createInterface({ input: process.stdin })) {
    process.stdout.write(`${solc.compile(line)}\n`);
  }
} else {
  process.stdout.write(solc.compile(readFileSync(0, "utf8"), { import: readSource }));
}
