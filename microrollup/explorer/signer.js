// Who signs: a wallet that the browser offers (EIP-1193), or a passkey (WebAuthn) made on this page.
//
// A passkey's secret stays in its authenticator. Its public key is only told when it is made, so this browser keeps it
// with the credential's id (`localStorage`); who is connected is kept for as long as the tab is open.

import { concat, fromHex, toBytes, toHex } from "./bytes.js";
import { keccak256 } from "./keccak.js";
import { DOMAIN_TYPE, computeDigest } from "./typed_data.js";

const PASSKEYS = "microrollup.passkeys";
const CONNECTED = "microrollup.signer";
const ES256 = -7;
const SCHEME = Uint8Array.of(2);
const POINT_BYTES = 64;
const WORD_BYTES = 32;
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const REFUSED_BY_USER = 4001;

/** What is to be said to the reader, of a wallet or an authenticator that did not do what it was asked. */
export class SigningError extends Error {}

/** Of `current`: `{kind, sender, sign(typedData)}`, or null. Dispatches `change`. */
class Connection extends EventTarget {
  current = null;

  set(signer) {
    this.current = signer;
    write(sessionStorage, CONNECTED, signer?.kind === "passkey" ? signer.sender : null);
    this.dispatchEvent(new Event("change"));
  }
}

export const connection = new Connection();

/** Whether the browser offers a wallet; whether it can have passkeys here. */
export const hasWallet = () => typeof window.ethereum?.request === "function";
export const hasPasskeys = () => window.isSecureContext && typeof window.PublicKeyCredential === "function";

/** The passkeys that were made in this browser on this page: `{id, point, sender, name}`. */
export function listPasskeys() {
  const found = read(localStorage, PASSKEYS);
  return Array.isArray(found) ? found.filter((each) => typeof each?.id === "string" && isPoint(each.point)) : [];
}

function isPoint(text) {
  return typeof text === "string" && new RegExp(`^0x[0-9a-f]{${2 * POINT_BYTES}}$`).test(text);
}

/** Ask the wallet for an account, and connect it. */
export async function connectWallet() {
  const [account] = await askWallet("eth_requestAccounts");
  if (!account) throw new SigningError("The wallet names no account.");
  const sender = account.toLowerCase();
  const sign = (typedData) =>
    askWallet("eth_signTypedData_v4", [
      sender,
      JSON.stringify({ ...typedData, types: { EIP712Domain: DOMAIN_TYPE, ...typedData.types } }),
    ]);
  connection.set({ kind: "wallet", sender, sign });
}

async function askWallet(method, params = []) {
  try {
    return await window.ethereum.request({ method, params });
  } catch (error) {
    if (error?.code === REFUSED_BY_USER) throw new SigningError("The wallet was told not to do it.");
    throw new SigningError(`The wallet refuses: ${error?.message ?? error}`);
  }
}

/** Make a passkey for the page's host, keep its public key here, and connect it. */
export async function createPasskey(rollup) {
  const name = `${rollup} ${new Date().toISOString().slice(0, 10)}`;
  const made = await askAuthenticator("create", {
    rp: { name: rollup },
    user: { id: crypto.getRandomValues(new Uint8Array(16)), name, displayName: name },
    challenge: crypto.getRandomValues(new Uint8Array(WORD_BYTES)),
    pubKeyCredParams: [{ type: "public-key", alg: ES256 }],
    authenticatorSelection: { residentKey: "preferred", userVerification: "required" },
  });
  const spki = made.response.getPublicKey() && new Uint8Array(made.response.getPublicKey());
  if (!spki) throw new SigningError("The browser does not tell the passkey's public key.");
  const point = toHex(spki.slice(-POINT_BYTES));
  const passkey = { id: toHex(new Uint8Array(made.rawId)), point, name };
  if (!write(localStorage, PASSKEYS, [...listPasskeys(), passkey]))
    throw new SigningError("The browser does not let this page keep the passkey's public key.");
  connectPasskey(passkey);
}

/** The last 20 bytes of keccak256(0x02 ‖ x ‖ y). */
export function computePasskeySender({ point }) {
  return toHex(keccak256(concat(SCHEME, fromHex(point))).slice(12));
}

export function connectPasskey(passkey) {
  connection.set({ kind: "passkey", sender: computePasskeySender(passkey), sign: (data) => signAsPasskey(passkey, data) });
}

/** An assertion whose challenge is the digest, in the rollup's scheme 2. */
async function signAsPasskey({ id, point }, typedData) {
  const { response } = await askAuthenticator("get", {
    challenge: computeDigest(typedData),
    allowCredentials: [{ type: "public-key", id: fromHex(id) }],
    userVerification: "required",
  });
  const parts = [response.authenticatorData, response.clientDataJSON].map((part) => new Uint8Array(part));
  return toHex(
    concat(
      SCHEME,
      fromHex(point),
      readDer(new Uint8Array(response.signature)),
      ...parts.flatMap((part) => [toBytes(part.length, 2), part]),
    ),
  );
}

async function askAuthenticator(method, publicKey) {
  try {
    return await navigator.credentials[method]({ publicKey });
  } catch (error) {
    if (error.name === "NotAllowedError")
      throw new SigningError("Nothing was done: the request was dismissed, timed out, or found no such passkey here.");
    throw new SigningError(`The browser refuses: ${error.message}`);
  }
}

/** r ‖ s, 32 bytes each and s the low one, of an ASN.1 SEQUENCE of two INTEGERs. */
function readDer(der) {
  const first = readInteger(der, 2);
  const second = readInteger(der, first.end);
  const low = second.value > ORDER / 2n ? ORDER - second.value : second.value;
  return concat(toBytes(first.value, WORD_BYTES), toBytes(low, WORD_BYTES));
}

function readInteger(der, at) {
  const end = at + 2 + der[at + 1];
  return { value: BigInt(toHex(der.slice(at + 2, end))), end };
}

function read(storage, name) {
  try {
    return JSON.parse(storage.getItem(name));
  } catch {
    return null;
  }
}

function write(storage, name, value) {
  try {
    if (value === null) storage.removeItem(name);
    else storage.setItem(name, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

/** Who was connected before the tab was loaded again: a passkey that is still known. */
const last = read(sessionStorage, CONNECTED);
const known = listPasskeys().find((each) => computePasskeySender(each) === last);
if (known) connectPasskey(known);
