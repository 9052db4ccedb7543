// Lets Node.js load the published package as it is: its `main` points at a folder that it does not have, its imports lack
// extensions, and it imports JSON without saying so. Bundlers, for which it was built, do the same.

import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const SDK = "@axiom-crypto/keystore-sdk";
const ROOT = new URL(`./node_modules/${SDK}/`, import.meta.url);

export async function resolve(specifier, context, next) {
  if (specifier === SDK) return { url: new URL("index.js", ROOT).href, shortCircuit: true };
  if (context.parentURL?.startsWith(ROOT.href) && specifier.startsWith(".")) {
    const named = new URL(specifier, context.parentURL).href;
    const found = [`${named}.js`, `${named}/index.js`].find((url) => existsSync(fileURLToPath(url)));
    if (found !== undefined) return { url: found, shortCircuit: true };
  }
  return next(specifier, context);
}

export async function load(url, context, next) {
  if (!url.startsWith(ROOT.href) || !url.endsWith(".json")) return next(url, context);
  const source = `export default ${readFileSync(fileURLToPath(url), "utf8")};`;
  return { format: "module", source, shortCircuit: true };
}
