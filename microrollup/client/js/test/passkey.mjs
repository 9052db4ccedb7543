// A passkey in software, in place of a browser's `navigator.credentials`. The keystore's package tests with it too, so it
// imports nothing.

const RP_ID = "wallet.example";
const FLAGS = 0x05; // the user was there, and was verified

/** What viem's `toWebAuthnAccount` takes for a new passkey. `told` is what a hostile one says in place of the truth. */
export async function makePasskey(told = {}) {
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  const { privateKey, publicKey } = await crypto.subtle.generateKey(algorithm, true, ["sign"]);
  const point = Buffer.from(await crypto.subtle.exportKey("raw", publicKey)).subarray(1);
  const credential = { id: "AAAA", publicKey: `0x${point.toString("hex")}` };
  return { credential, rpId: RP_ID, getFn: (options) => assertWith(privateKey, options, told) };
}

async function assertWith(privateKey, { publicKey: { challenge } }, { flags = FLAGS, text: said, ...told }) {
  const text = Buffer.from(challenge).toString("base64url");
  const members = { type: "webauthn.get", challenge: text, origin: `https://${RP_ID}`, ...told };
  const clientData = Buffer.from(said ?? JSON.stringify(members));
  const sha256 = async (bytes) => new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const authenticatorData = Buffer.concat([await sha256(Buffer.from(RP_ID)), Buffer.from([flags, 0, 0, 0, 1])]);
  const signed = Buffer.concat([authenticatorData, await sha256(clientData)]);
  const raw = new Uint8Array(await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, privateKey, signed));
  const exact = (bytes) => new Uint8Array(bytes).buffer;
  return {
    response: {
      authenticatorData: exact(authenticatorData),
      clientDataJSON: exact(clientData),
      signature: exact(toDer(raw)),
    },
  };
}

/** ASN.1 DER of r and s. */
function toDer(raw) {
  const integer = (bytes) => {
    let start = 0;
    while (start < bytes.length - 1 && bytes[start] === 0) start += 1;
    const body = bytes[start] & 0x80 ? [0, ...bytes.slice(start)] : [...bytes.slice(start)];
    return [2, body.length, ...body];
  };
  const body = [...integer(raw.slice(0, 32)), ...integer(raw.slice(32))];
  return Uint8Array.from([0x30, body.length, ...body]);
}
