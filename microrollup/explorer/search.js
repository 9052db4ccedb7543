// One field for everything: a height, an action, a sender, a key.

import { to } from "./dom.js";
import { isHex } from "./bytes.js";
import { call, callApp, getConfig, getPages } from "./rpc.js";

/** Where a text leads; null if it can mean nothing here. Asks the node whether 32 bytes are an action, then whether a page
 * of the app's own is about it, then whether it is a key.
 */
export async function resolveSearch(text) {
  const wanted = text.trim();
  if (wanted === "") return null;
  if (/^#?[0-9]+$/.test(wanted)) return to("block", Number(wanted.replace("#", "")));
  if (wanted === "latest") return to("block", "latest");
  const hex = /^[0-9a-f]{40}$|^[0-9a-f]{64}$/i.test(wanted) ? `0x${wanted}` : wanted;
  if (isHex(hex, 20)) return to("sender", hex.toLowerCase());
  if (isHex(hex, 32) && (await isAction(hex.toLowerCase()))) return to("action", hex.toLowerCase());
  const page = await findPage(isHex(hex) ? hex.toLowerCase() : hex);
  if (page) return to("page", page.name, isHex(hex) ? hex.toLowerCase() : hex);
  const field = await findField(hex);
  return field ? to("state", field, isHex(hex) ? hex.toLowerCase() : hex) : null;
}

async function isAction(hash) {
  try {
    await call("getReceipt", { hash });
    return true;
  } catch (error) {
    if (error.isMissing) return false;
    throw error;
  }
}

/** The first of the app's pages about one thing for which there is such a thing: its first query answers. */
async function findPage(text) {
  const pages = (await getPages()).filter((page) => page.parameter !== null && page.parts[0].kind === "one");
  const found = await Promise.all(
    pages.map(({ parameter, parts }) =>
      callApp(parts[0].method, { [parameter]: text }).then(
        (answer) => answer !== null,
        () => false,
      ),
    ),
  );
  return pages.find((_, place) => found[place]);
}

/** The first map whose keys can look like this. */
async function findField(text) {
  const { fields } = await getConfig();
  const maps = fields.filter((field) => field.kind === "map");
  const fits = (type) =>
    isHex(text) ? type === "bytes" || type === `bytes${(text.length - 2) / 2}` : type === "string";
  return maps.find((field) => fits(field.keyType))?.name;
}
