// The functions of the explorer that this package shares; the build puts them into the bundle.

declare module "*/explorer/proof.js" {
  interface Folded {
    readonly root: `0x${string}`;
    readonly leafHash: `0x${string}`;
  }
  export class ProofError extends Error {}
  export function foldStateProof(proof: object): Folded;
  export function computeTreeKey(silo: number, encodedKey: `0x${string}`): `0x${string}`;
  export function computeBlockHash(header: object): `0x${string}`;
  export function computeHash(hex: `0x${string}`): `0x${string}`;
  export function judgeLeaf(leaf: object, treeKey: `0x${string}`): "included" | "excluded" | "nothing";
}
