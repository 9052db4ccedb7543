// Acknowledgements and the receipts in them: hashed again here, so that what the operator signed is what one reads.

import { type Hex, concatHex, hexToBytes, keccak256 } from "viem";
import type { App } from "./app.js";
import { type Types, pack, shorten, unpackStruct } from "./canonical.js";
import { BadAnswer } from "./errors.js";
import type { AcknowledgementForm, EventForm } from "./rpc.js";

const STATUSES = ["executed", "rejected", "faulted"] as const;

/** `keccak256(0x00 || canonical msgpack of the receipt)`: what an acknowledgement signs as `receiptHash`. */
export function computeReceiptHash(
  ack: Pick<AcknowledgementForm, "seq" | "actionHash" | "status" | "reason" | "events">,
): Hex {
  const status = STATUSES.indexOf(ack.status);
  if (status < 0) throw new BadAnswer(`an acknowledged action is not ${String(ack.status)}`);
  const events = ack.events.map(({ name, data }) => [name, hexToBytes(data)]);
  return keccak256(
    concatHex(["0x00", pack([shorten(BigInt(ack.seq)), hexToBytes(ack.actionHash), status, ack.reason, events])]),
  );
}

/** An event with its members by name: bytes as hex, integers of more than 48 bits as bigint. */
export interface ReadEvent {
  readonly name: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** The events of a receipt, read from the bytes that are signed, by the types that the app declares. */
export function readEvents(source: { readonly events: readonly EventForm[] }, app: Pick<App, "events">): ReadEvent[] {
  return source.events.map(({ name, data }) => {
    const described = app.events.find((event) => event.name === name);
    if (described === undefined) throw new BadAnswer(`the app has no event ${name}`);
    return { name, fields: unpackStruct(data, name, described.types as Types) };
  });
}
