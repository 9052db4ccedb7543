// One module of the bundler, which checks the rules of ERC-7562, gets a viem that takes what a simulation found out of its
// envelope. A bundler that does so by itself would not need it.
const unwrapping = new URL("./viem.mjs", import.meta.url).href;
const validator = /\/@pimlico\/alto\/esm\/rpc\/validation\/SafeValidator\.js$/;

export const resolve = (specifier, context, next) =>
  specifier === "viem" && validator.test(context.parentURL ?? "")
    ? { url: unwrapping, format: "module", shortCircuit: true }
    : next(specifier, context);
