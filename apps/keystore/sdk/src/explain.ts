// Why an account does not take an operation's signature: the entry point says AA24 for all of it. The same bytes are read
// in the order in which the account reads them, with what its chain knows. Nothing is sent.

import {
  type Address,
  type Client,
  type Hex,
  type Transport,
  concatHex,
  encodeAbiParameters,
  hexToBigInt,
  hexToNumber,
  keccak256,
  parseAbi,
  parseAbiParameters,
  size,
  slice,
  toFunctionSelector,
  toHex,
} from "viem";
import { type UserOperation, getUserOperationHash } from "viem/account-abstraction";
import { getChainId, getCode, readContract } from "viem/actions";
import { ProofError, computeTreeKey, foldStateProof, judgeLeaf } from "../../../../microrollup/explorer/proof.js";
import { type ProvenValue, UsageError } from "../../../../microrollup/client/js/src/index.js";
import { type Configuration, ENTRY_POINT, computeData, computeImplementationAddress, computeValidatorAddress } from "./configuration.js"; // prettier-ignore
import { readDelegate } from "./delegation.js";
import { accountAbi, delegateAbi, rootsAbi } from "./generated.js";
import { CAUSES, type Cause, type Explanation, judgeSignature } from "./judging.js";
import { MODE_CACHED, MODE_EXCLUSION, MODE_INCLUSION, MODE_REMEMBER } from "./opening.js";

/** The operation as it is sent to a bundler; a paymaster's data too is signed. */
export type SignedOperation = UserOperation<"0.8">;

export interface ExplainOptions {
  /** EntryPoint 0.8 by default. */
  readonly entryPoint?: Address;
  /** What the keystore proves of the key: tells a proof of something else from a root that the chain has not heard of. */
  readonly shown?: ProvenValue;
  /** Chains that are tried, beside the best known, where a key seems to be wrong. */
  readonly chainIds?: readonly number[];
}

const MODE_INTENT = 3;
const MODE_DELEGATE = 4;
const INTENTS = 6;
const DELEGATES = 7;
const VALUE_BYTES = 64;
const SIDE_BYTES = 8;
const LINK_BYTES = 33;
const LOW_LEAF_BYTES = 98;
/** In an account's code: the clone, then the key. */
const KEY_START = 0x2d;
const REPLACED_BYTES = 27;
/** Where wallets have most accounts. */
const KNOWN_CHAINS = [1, 10, 137, 8453, 42161, 11155111];
const KEY_SEQUENCE = toFunctionSelector("keySequence()");
const CREATE = toFunctionSelector("createAccount(bytes32,bytes32)");
const validatorAbi = parseAbi(["function validate(bytes32,bytes,bytes) view returns (bool)"]);

/** What is known of the sender: `present` is the root that it goes by, `replaced` those before it, 27 bytes each. */
interface Account {
  readonly key: Hex;
  readonly roots: Address;
  readonly present: Hex;
  readonly replaced: readonly Hex[];
  readonly remembered: Hex;
}

interface Opened {
  readonly configuration: Configuration;
  readonly signature: Hex;
}

/** An explanation has been found. */
class Answered extends Error {
  readonly explanation: Explanation;
  constructor(cause: Cause, what: string, remedy: string) {
    super(cause);
    this.explanation = { cause, what, remedy };
  }
}

/**
 * Why the account of this signed operation does not take its signature on the client's chain, now; `taken` if it does. A
 * signature that is too old or too early is AA22, not AA24: see the account's `getRoots`.
 */
export async function explain(operation: SignedOperation, client: Client<Transport>, options: ExplainOptions = {}): Promise<Explanation> {
  const { entryPoint = ENTRY_POINT, shown, chainIds = [] } = options;
  const chainId = await getChainId(client);
  let userOperation = operation;
  const hashFor = (number: number): Hex =>
    getUserOperationHash({ chainId: number, entryPointAddress: entryPoint, entryPointVersion: "0.8", userOperation });
  let opened: Opened | null;
  try {
    userOperation = await nameDelegate(operation, client);
    opened = await new Opener(client, chainId, shown).open(operation, hashFor(chainId));
  } catch (error) {
    if (error instanceof Answered) return error.explanation;
    throw error;
  }
  if (opened === null) return { cause: "taken", what: "the keystore names this operation", remedy: "nothing: it needs no signature" };
  const { configuration, signature } = opened;
  const address = computeValidatorAddress(configuration.codeHash);
  if ((await getCode(client, { address })) === undefined) {
    const what = `nothing is at ${address}, where codeHash ${configuration.codeHash} has its validator`;
    return { cause: "no_validator", what, remedy: "deploy its creation code through the deployment proxy" };
  }
  const hashes = new Map([chainId, ...KNOWN_CHAINS, ...chainIds].map((number) => [number, hashFor(number)]));
  const ask = (digest: Hex): Promise<boolean> =>
    readContract(client, { address, abi: validatorAbi, functionName: "validate", args: [digest, signature, configuration.config] });
  return judgeSignature(configuration, signature, chainId, hashes, ask);
}

/** The same, with the sender's delegate for EIP-7702's marker: of the same hash, and without the marker. */
async function nameDelegate(operation: SignedOperation, client: Client<Transport>): Promise<SignedOperation> {
  if (!operation.factory || !/^0x77020*$/.test(operation.factory)) return operation;
  const delegate = await readDelegate(client, operation.sender);
  if (delegate === null) throw noAccount("initCode has EIP-7702's marker, and the sender does not delegate");
  return { ...operation, factory: delegate, factoryData: operation.factoryData ?? "0x" };
}

class Opener {
  constructor(
    private readonly client: Client<Transport>,
    private readonly chainId: number,
    private readonly shown: ProvenValue | undefined,
  ) {}

  /** The configuration that the signature opens, and the validator's signature; null for an intent. */
  async open(operation: SignedOperation, digest: Hex): Promise<Opened | null> {
    const account = await this.readAccount(operation);
    const raw = operation.signature.toLowerCase() as Hex;
    const mode = size(raw) > 0 ? hexToNumber(slice(raw, 0, 1)) : MODE_CACHED;
    const parts = new Parts(raw);
    if (mode === MODE_INTENT) return this.openIntent(parts, account, operation.sender, digest);
    if (mode === MODE_DELEGATE) return this.openDelegate(parts, account);
    const kind = mode & ~MODE_REMEMBER;
    if (kind > MODE_CACHED || mode === (MODE_CACHED | MODE_REMEMBER))
      throw new Answered("unknown_mode", `there is no mode ${mode}`, "encode the signature anew");
    const configuration = { codeHash: parts.take(32), config: parts.takePart() };
    const opened = { configuration, signature: parts.takePart() };
    const dataHash = keccak256(computeData(configuration));
    const rest = parts.takeRest(kind === MODE_CACHED ? 0 : kind === MODE_INCLUSION ? 32 : 64);
    if (kind === MODE_CACHED) {
      if (rest !== "0x") throw malformed("a remembered configuration has no opening");
      if (account.remembered === shorten(dataHash)) return opened;
      const what = "the account remembers another configuration or none";
      throw new Answered("not_remembered", what, "show a proof, and remember it again");
    }
    const place = computeTreeKey(0, account.key);
    const root =
      kind === MODE_INCLUSION
        ? foldInclusion(cut(rest, 32), place, keccak256(concatHex([dataHash, cut(rest, 0, 32)])))
        : foldExclusion(cut(rest, 64), place, keccak256(concatHex([cut(rest, 0, 32), dataHash, cut(rest, 32, 64)])), account.key);
    await this.checkRoot(account, root, dataHash);
    return opened;
  }

  private async openIntent(parts: Parts, account: Account, sender: Address, digest: Hex): Promise<null> {
    const place = computeTreeKey(INTENTS, concatHex([account.key, parts.take(2)]));
    const [after, until] = [hexToBigInt(parts.take(8)), hexToBigInt(parts.take(8))];
    const types = parseAbiParameters("uint256, address, bytes32, uint64, uint64");
    const head = encodeAbiParameters(types, [BigInt(this.chainId), sender, digest, after, until]);
    await this.openOutbox(parts, account, place, head, "other_operation");
    return null;
  }

  private async openDelegate(parts: Parts, account: Account): Promise<Opened> {
    const configuration = { codeHash: parts.take(32), config: parts.takePart() };
    const signature = parts.takePart();
    const isEvery = parts.take(1) === "0x01";
    const chain = toHex(isEvery ? 0 : this.chainId, { size: 32 });
    const place = computeTreeKey(DELEGATES, concatHex([account.key, chain]));
    const until = toHex(hexToBigInt(parts.take(8)), { size: 32 });
    await this.openOutbox(parts, account, place, concatHex([computeData(configuration), until]), "other_delegate");
    return { configuration, signature };
  }

  /** That the keystore holds `head` at `place`, for an owner who has not changed since. */
  private async openOutbox(parts: Parts, account: Account, place: Hex, head: Hex, cause: Cause): Promise<void> {
    const ownerHash = keccak256(parts.take(VALUE_BYTES));
    const [accountProof, entryProof] = [parts.takePart(), parts.takePart()];
    const root = foldInclusion(accountProof, computeTreeKey(0, account.key), ownerHash);
    const found = foldInclusion(entryProof, place, keccak256(concatHex([head, ownerHash])));
    await this.checkRoot(account, root, null);
    if (found !== root) throw new Answered(cause, CAUSES[cause], "ask the keystore what it holds in this place now");
  }

  /** Whether the account believes the root; else why not. */
  private async checkRoot(account: Account, root: Hex, dataHash: Hex | null): Promise<void> {
    if (root === account.present || account.replaced.includes(shorten(root))) return;
    if (root === (await this.readLatest(account.roots)))
      throw new Answered("not_pushed", `the chain's newest root is ${root}; the account has not copied it`, "push the root");
    const shownAt = await readContract(this.client, { address: account.roots, abi: rootsAbi, functionName: "shownAt", args: [root] });
    if (BigInt(shownAt) > 0n)
      throw new Answered("replaced", `root ${root} was replaced too long ago`, "exchange the proof for a newer one");
    if (this.shown !== undefined && dataHash !== null) compare(this.shown, account.key, dataHash);
    const remedy = "bring the keystore's newest root; if the chain has it, the keystore holds something else at the key";
    throw new Answered("unknown_root", `the chain does not know root ${root}`, remedy);
  }

  private async readAccount({ sender: address, factory, factoryData }: SignedOperation): Promise<Account> {
    const contract = { address, abi: accountAbi } as const;
    const code = await getCode(this.client, { address });
    if (code !== undefined) {
      const key = await this.readKey(address, code);
      const [present, , , replaced] = await readContract(this.client, { ...contract, functionName: "getRoots" });
      const [remembered] = await readContract(this.client, { ...contract, functionName: "getRemembered" });
      const roots = await readContract(this.client, { ...contract, functionName: "roots" });
      return { key, roots, present, replaced: replaced.map(({ root }) => root), remembered };
    }
    const call = (factoryData ?? "0x").toLowerCase() as Hex;
    if (!factory || size(call) !== 68 || slice(call, 0, 4) !== CREATE)
      throw noAccount("nothing is deployed there, and initCode makes no account");
    const implementation = { address: computeImplementationAddress(factory), abi: accountAbi } as const;
    const roots = await readContract(this.client, { ...implementation, functionName: "roots" });
    const replaced = [slice(call, 36, 36 + REPLACED_BYTES)];
    return { key: slice(call, 4, 36), roots, present: await this.readLatest(roots), replaced, remembered: "0x" };
  }

  private async readKey(address: Address, code: Hex): Promise<Hex> {
    const delegate = await readDelegate(this.client, address);
    if (delegate === null) {
      if (size(code) !== KEY_START + 32) throw noAccount("its code is not that of an account of the keystore");
      return slice(code, KEY_START);
    }
    const delegated = (await getCode(this.client, { address: delegate })) ?? "0x";
    if (!delegated.includes(KEY_SEQUENCE.slice(2))) throw noAccount("the EOA delegates to code that is not the keystore's");
    const key = await readContract(this.client, { address, abi: delegateAbi, functionName: "key" });
    if (BigInt(key) === 0n) throw noAccount("the EOA has set no key: `setKey` has not been called");
    return key;
  }

  /** The newest root of the chain. */
  private async readLatest(address: Address): Promise<Hex> {
    return (await readContract(this.client, { address, abi: rootsAbi, functionName: "latest" }))[0];
  }
}

/** Whether the keystore holds the configuration that the signature opens. */
function compare(shown: ProvenValue, key: Hex, dataHash: Hex): void {
  if (shown.treeKey !== computeTreeKey(0, key)) throw new UsageError(`what is shown is of another key than ${key}`);
  const held = size(shown.value) < 32 ? "0x" : slice(shown.value, 0, 32);
  if (shown.exists && held === dataHash) return;
  const state = shown.exists ? `data of hash ${held}` : "nothing";
  throw new Answered(
    "other_configuration",
    `the keystore holds ${state} at the key, not the configuration that is opened`,
    "sign with the configuration that the keystore holds",
  );
}

/** The root that the bytes of an inclusion lead to: `isLeft 8 | nextPrefix 1 | nextKey 32 | siblings`. */
function foldInclusion(raw: Hex, key: Hex, valueHash: Hex): Hex {
  return fold(raw, SIDE_BYTES + LINK_BYTES, () => {
    const [nextPrefix, nextKey] = [hexToNumber(slice(raw, 8, 9)), slice(raw, 9, 41)];
    return { active: 1, prefix: 1, key, nextPrefix, nextKey, valueHash };
  });
}

/** The same of an exclusion: the key must commit to what is opened, and the leaf must lie around it. */
function foldExclusion(raw: Hex, place: Hex, committed: Hex, key: Hex): Hex {
  if (committed !== key)
    throw new Answered(
      "not_first_configuration",
      CAUSES.not_first_configuration.replace("mode 1, but ", ""),
      "use those that the key was made of; a rotated account needs an inclusion proof",
    );
  return fold(raw, SIDE_BYTES + LOW_LEAF_BYTES, () => {
    const leaf = {
      active: 1,
      prefix: hexToNumber(slice(raw, 8, 9)),
      key: slice(raw, 9, 41),
      nextPrefix: hexToNumber(slice(raw, 41, 42)),
      nextKey: slice(raw, 42, 74),
      valueHash: slice(raw, 74, 106),
    };
    if (judgeLeaf(leaf, place) === "excluded") return leaf;
    const what = "the proof's leaf does not lie around the key";
    throw new Answered("malformed_proof", what, "if the key is registered by now, prove its inclusion");
  });
}

function fold(raw: Hex, head: number, makeLeaf: () => object): Hex {
  const count = (size(raw) - head) / 32;
  if (count < 0 || !Number.isInteger(count))
    throw new Answered("malformed_proof", `${size(raw)} bytes are not ${head} and siblings`, "encode the keystore's proof anew");
  const siblings = Array.from({ length: count }, (_, index) => slice(raw, head + 32 * index, head + 32 * (index + 1)));
  const isLeft = hexToBigInt(slice(raw, 0, SIDE_BYTES)).toString();
  try {
    return foldStateProof({ leaf: makeLeaf(), siblings, isLeft, leafIndex: isLeft }).root;
  } catch (error) {
    if (!(error instanceof ProofError)) throw error;
    throw new Answered("malformed_proof", error.message, "encode the keystore's proof anew");
  }
}

const malformed = (what: string): Answered => new Answered("malformed", what, "encode the signature anew");
const noAccount = (what: string): Answered => new Answered("no_account", what, "check sender, factory and key");
const shorten = (hash: Hex): Hex => slice(hash, 0, REPLACED_BYTES);
/** viem's `slice` throws where nothing is left. */
const cut = (raw: Hex, start: number, end = size(raw)): Hex => `0x${raw.slice(2 + 2 * start, 2 + 2 * end)}`;

/** A signature's bytes after the mode, from left to right. */
class Parts {
  private at = 1;
  constructor(private readonly raw: Hex) {}

  take(count: number): Hex {
    const end = this.at + count;
    if (end > size(this.raw)) throw malformed(`${size(this.raw)} bytes end before byte ${end}`);
    const part = cut(this.raw, this.at, end);
    this.at = end;
    return part;
  }

  takePart(): Hex {
    return this.take(hexToNumber(this.take(2)));
  }

  takeRest(least: number): Hex {
    return this.take(Math.max(least, size(this.raw) - this.at));
  }
}
