// What an app declares, as types: the actions, fields and events of `rollup_config`, kept as literals.

import type { TypedData, TypedDataDefinition } from "viem";
import { BadAnswer } from "./errors.js";

/** The part of `rollup_config` that depends on the app alone; `microrollup-types` writes it to a file. */
export interface App {
  readonly name: string;
  readonly version: string;
  readonly actions: readonly ActionOf[];
  readonly fields: readonly FieldOf[];
  readonly events: readonly EventOf[];
}

export interface ActionOf {
  readonly name: string;
  readonly typeString: string;
  readonly types: TypedData;
}

export interface FieldOf {
  readonly name: string;
  readonly kind: "map" | "scalar";
  readonly settled: boolean;
  readonly number: number;
  readonly keyType: string | null;
  readonly valueType: string;
}

export interface EventOf {
  readonly name: string;
  readonly types: TypedData;
}

export type ActionName<app extends App> = app["actions"][number]["name"];
export type FieldName<app extends App> = app["fields"][number]["name"];
export type SettledFieldName<app extends App> = Extract<app["fields"][number], { readonly settled: true }>["name"];

type ActionNamed<app extends App, name> = Extract<app["actions"][number], { readonly name: name }>;
type Members<types, name> = types extends TypedData
  ? name extends keyof types & string
    ? TypedDataDefinition<types, name> extends { message: infer message }
      ? Omit<message, "nonce">
      : never
    : never
  : never;

/** The members of an action, without the nonce, as viem types them: `0x…` texts, numbers, bigints. */
export type MessageOf<app extends App, name extends ActionName<app>> = string extends name
  ? Readonly<Record<string, unknown>>
  : Members<ActionNamed<app, name>["types"], name>;

/** An action of the app: one of its types, with the members of that very type. */
export type ActionRequest<app extends App> = {
  [name in ActionName<app>]: { readonly type: name; readonly message: MessageOf<app, name> };
}[ActionName<app>];

/** A node's config as an app, unless it lacks what is gone by here. Throws `BadAnswer`, or a `TypeError`. */
export function checkApp(config: unknown): App {
  const app = config as App;
  const hasTexts = (value: unknown, ...names: string[]) =>
    names.every((name) => typeof (value as Record<string, unknown>)[name] === "string");
  const hasTypes = ({ name, types }: { readonly name: string; readonly types: unknown }) => {
    const structs = types as Readonly<Record<string, readonly unknown[]>>;
    const members = [structs[name], ...Object.values(structs)];
    return members.every((struct) => struct !== undefined && struct.every((member) => hasTexts(member, "name", "type")));
  };
  const isWhole =
    hasTexts(app, "name", "version") &&
    app.actions.every((action) => hasTexts(action, "name", "typeString") && hasTypes(action)) &&
    app.events.every((event) => hasTexts(event, "name") && hasTypes(event)) &&
    app.fields.every((field) => hasTexts(field, "name"));
  if (!isWhole) throw new BadAnswer("a config that does not describe its app");
  return app;
}
