// The card in which a wallet or a passkey is connected, and that says which one is.

import { announce, h, makeId, replace } from "./dom.js";
import { renderFullHash, shorten } from "./format.js";
import { getConfig } from "./rpc.js";
import {
  SigningError,
  computePasskeySender,
  connectPasskey,
  connectWallet,
  connection,
  createPasskey,
  hasPasskeys,
  hasWallet,
  listPasskeys,
} from "./signer.js";

/** The card; `change` is called whenever somebody else is connected, as long as the view is shown. */
export function renderSigner(context, change = () => {}) {
  const id = makeId("signer");
  const body = h("div", { class: "signer" });
  const problem = h("p", { class: "problem", role: "alert" });
  let busy = false; // rather than a disabled button, which would lose the focus
  const act = (work) => async () => {
    if (busy) return;
    busy = true;
    problem.textContent = "";
    try {
      await work();
    } catch (error) {
      if (!(error instanceof SigningError)) throw error;
      problem.textContent = error.message;
    } finally {
      busy = false;
    }
  };
  const show = () => replace(body, ...(connection.current ? renderConnected() : renderOffers(act)));
  context.listen(connection, () => {
    const hadFocus = body.contains(document.activeElement);
    show();
    if (hadFocus) body.querySelector(".acts button")?.focus();
    announce(connection.current ? `Connected: ${shorten(connection.current.sender)}` : "Disconnected");
    change();
  });
  show();
  return h("section", { class: "card", "aria-labelledby": id }, h("h2", { id }, "Signer"), body, problem);
}

function renderConnected() {
  const { kind, sender } = connection.current;
  return [
    h("p", {}, kind === "wallet" ? "Wallet " : "Passkey ", renderFullHash(sender)),
    h("p", { class: "acts" }, h("button", { type: "button", onclick: () => connection.set(null) }, "Disconnect")),
  ];
}

function renderOffers(act) {
  const offers = listPasskeys().map((passkey) =>
    h(
      "button",
      { type: "button", onclick: act(async () => connectPasskey(passkey)) },
      `Use passkey ${shorten(computePasskeySender(passkey))}`,
    ),
  );
  if (hasWallet()) offers.push(h("button", { type: "button", onclick: act(connectWallet) }, "Connect a wallet"));
  if (hasPasskeys())
    offers.push(
      h("button", { type: "button", onclick: act(async () => createPasskey((await getConfig()).name)) }, "Make a passkey"),
    );
  if (offers.length === 0)
    return [h("p", {}, "This browser offers no wallet, and passkeys need HTTPS or localhost.")];
  return [
    h("p", { class: "quiet" }, "This node's page shows what is signed: connect only where its operator is trusted."),
    h("p", { class: "acts" }, ...offers),
  ];
}
