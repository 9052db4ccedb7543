// The bundler as the keystore's story starts it: `node run.mjs RPC_URL ENTRY_POINT CLOCK`, where CLOCK is a file with the
// chain's time in seconds. It says `listening on URL`, and bundles by itself. Its keys are two of anvil's.
const [, , url, entryPoint, clock] = process.argv;

process.env.CLOCK = clock;
const options = {
  entrypoints: entryPoint,
  "rpc-url": url,
  "safe-mode": false,
  "log-level": "fatal",
  "executor-private-keys": "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
  "utility-private-key": "0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
  "min-executor-balance": "1",
  "refilling-wallets": false,
  "utility-wallet-monitor": false,
  "block-time": 40,
  "block-number-cache-ttl": 0,
  "max-bundle-interval": 100,
};
process.argv.splice(2, 3, ...Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]));
await import("./alto.mjs");
await import("./node_modules/@pimlico/alto/esm/cli/alto.js");
