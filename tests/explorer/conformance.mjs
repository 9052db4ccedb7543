// The explorer's own functions over the conformance vectors. Prints nothing and exits 0, or says which case differs.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [vectors, explorer] = process.argv.slice(2);
const load = (name) => JSON.parse(readFileSync(`${vectors}/${name}.json`, "utf8")).cases;
const proof = await import(pathToFileURL(`${explorer}/proof.js`));

for (const { header, blockHash } of load("headers")) assert.equal(proof.computeBlockHash(header), blockHash);

for (const { items, root, siblings } of load("item-trees"))
  items.forEach((item, index) =>
    assert.equal(proof.foldItemProof(item, index, items.length, siblings[index]).root, root),
  );

for (const { item, leaf } of load("receipts")) assert.equal(proof.foldItemProof(item, 0, 1, []).root, leaf);

const word = (leaf, from) => `0x${leaf.slice(2 + 2 * from, 2 + 2 * (from + 32))}`;
const readLeaf = (leaf) => ({
  active: parseInt(leaf.slice(2, 4), 16),
  prefix: parseInt(leaf.slice(4, 6), 16),
  key: word(leaf, 2),
  nextPrefix: parseInt(leaf.slice(70, 72), 16),
  nextKey: word(leaf, 35),
  valueHash: word(leaf, 67),
});

for (const { inserted, leaves, root, inclusions, exclusion } of load("state-trees")) {
  for (const { silo, key, treeKey } of inserted) assert.equal(proof.computeTreeKey(silo, key), treeKey);
  for (const [found, expected] of [...inclusions.map((one) => [one, "included"]), [exclusion, "excluded"]]) {
    const { leafIndex, siblings, treeKey } = found;
    const leaf = readLeaf(leaves[Number(leafIndex)]);
    assert.equal(proof.foldStateProof({ leaf, leafIndex, isLeft: leafIndex, siblings }).root, root);
    assert.equal(proof.judgeLeaf(leaf, treeKey), expected);
  }
}
