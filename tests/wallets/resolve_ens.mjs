// Asks a resolver by CCIP-read (ERC-3668), as ethers and viem do it by themselves.
//
// stdin:  {"url", "resolver", "calls": ["0x..."]}
// stdout: {"ethers": ["0x..." or null], "viem": [...]}        the bytes that `resolve` returned; null if it failed

import { text } from "node:stream/consumers";
import { AbiCoder, JsonRpcProvider } from "ethers";
import { createPublicClient, http } from "viem";

const given = JSON.parse(await text(process.stdin));
const provider = new JsonRpcProvider(given.url);
const client = createPublicClient({ transport: http(given.url) });
const results = { ethers: [], viem: [] };

const unwrap = (answer) => AbiCoder.defaultAbiCoder().decode(["bytes"], answer)[0];

for (const data of given.calls) {
  try {
    results.ethers.push(unwrap(await provider.call({ to: given.resolver, data, enableCcipRead: true })));
  } catch {
    results.ethers.push(null);
  }
  try {
    results.viem.push(unwrap((await client.call({ to: given.resolver, data })).data));
  } catch {
    results.viem.push(null);
  }
}
provider.destroy();
console.log(JSON.stringify(results));
