// Resolves names as wallets do: ethers by ENS's registry and by a Universal Resolver, viem by a Universal Resolver.
//
// stdin:  {"url", "registry", "universal", "questions": [[name, coin type or text record], ...]}
// stdout: {"registry": [...], "universal": [...], "viem": [...]}      what was found, null for nothing, "failed" for an error

import { text } from "node:stream/consumers";
import { EnsPlugin, JsonRpcProvider, Network } from "ethers";
import { createPublicClient, defineChain, http } from "viem";

const { url, registry, universal, questions } = JSON.parse(await text(process.stdin));
const CHAIN_ID = 31337;

const makeProvider = (universalResolver) => {
  const network = new Network("l1", CHAIN_ID);
  network.attachPlugin(new EnsPlugin(registry, CHAIN_ID, universalResolver));
  return new JsonRpcProvider(url, network, { staticNetwork: network });
};

const chain = defineChain({
  id: CHAIN_ID,
  name: "l1",
  nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
  rpcUrls: { default: { http: [url] } },
  contracts: { ensUniversalResolver: { address: universal } },
});
const client = createPublicClient({ chain, transport: http() });

const askEthers = async (provider, name, wanted) => {
  const resolver = await provider.getResolver(name);
  if (resolver === null) return null;
  return typeof wanted === "number" ? resolver.getAddress(wanted) : resolver.getText(wanted);
};

const askViem = (name, wanted) =>
  typeof wanted === "number"
    ? client.getEnsAddress({ name, ...(wanted === 60 ? {} : { coinType: wanted }) })
    : client.getEnsText({ name, key: wanted });

const providers = { registry: makeProvider(), universal: makeProvider(universal) };
const ways = {
  registry: (...question) => askEthers(providers.registry, ...question),
  universal: (...question) => askEthers(providers.universal, ...question),
  viem: askViem,
};
const found = {};
for (const [way, ask] of Object.entries(ways)) {
  found[way] = await Promise.all(questions.map((question) => ask(...question).catch(() => "failed")));
}
Object.values(providers).forEach((provider) => provider.destroy());
console.log(JSON.stringify(found));
