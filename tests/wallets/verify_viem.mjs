// Has viem verify messages of accounts on a chain, deployed or not (ERC-1271, ERC-6492).
//
// stdin:  {"url", "chainId", "cases": [{"address", "message", "signature"}]}
// stdout: [true or false]

import { text } from "node:stream/consumers";
import { createPublicClient, defineChain, http } from "viem";

const { url, chainId, cases } = JSON.parse(await text(process.stdin));
const nativeCurrency = { name: "Ether", symbol: "ETH", decimals: 18 };
const chain = defineChain({ id: chainId, name: "L2", nativeCurrency, rpcUrls: { default: { http: [url] } } });
const client = createPublicClient({ chain, transport: http(url) });
const found = [];
for (const given of cases) found.push(await client.verifyMessage(given));
console.log(JSON.stringify(found));
