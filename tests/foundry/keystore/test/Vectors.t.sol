// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Base} from "./Base.sol";
import {HARNESS, IVerifierHarness} from "./IVerifierHarness.sol";

/// @title Proofs that Python made (`python tests/support/keystore_vectors.py`) verify here, and the reverse of each is refused
contract VectorsTest is Base {
    IVerifierHarness internal verifier = IVerifierHarness(_create(_read(HARNESS)));
    string internal json = vm.readFile("fixtures/proofs.json");

    function words(string memory path) internal view returns (bytes32[] memory) {
        return vm.parseJsonBytes32Array(json, path);
    }

    function blobs(string memory path) internal view returns (bytes[] memory) {
        return vm.parseJsonBytesArray(json, path);
    }

    function test_included_accounts() external view {
        (bytes32[] memory roots, bytes32[] memory keys) = (words(".inclusion.root"), words(".inclusion.key"));
        (bytes32[] memory values, bytes[] memory proofs) = (words(".inclusion.value"), blobs(".inclusion.proof"));
        assertTrue(roots.length > 30, "cases");
        for (uint256 i; i < roots.length; ++i) {
            bytes32 treeKey = verifier.computeTreeKey(keys[i]);
            assertTrue(verifier.isIncluded(roots[i], treeKey, values[i], proofs[i]), "included");
            assertFalse(verifier.isExcluded(roots[i], treeKey, proofs[i]), "as an exclusion");
            assertFalse(verifier.isIncluded(roots[i], treeKey, keccak256(""), proofs[i]), "as retired");
            assertFalse(verifier.isIncluded(roots[i], keys[i], values[i], proofs[i]), "without the silo");
            uint256 other = (i + 1) % roots.length;
            assertFalse(verifier.isIncluded(roots[i], treeKey, values[i], proofs[other]), "another's proof");
        }
    }

    function test_absent_accounts() external view {
        (bytes32[] memory roots, bytes32[] memory keys) = (words(".exclusion.root"), words(".exclusion.key"));
        bytes[] memory proofs = blobs(".exclusion.proof");
        assertTrue(roots.length > 30, "cases");
        for (uint256 i; i < roots.length; ++i) {
            bytes32 treeKey = verifier.computeTreeKey(keys[i]);
            assertTrue(verifier.isExcluded(roots[i], treeKey, proofs[i]), "excluded");
            assertFalse(verifier.isIncluded(roots[i], treeKey, keccak256(""), proofs[i]), "as included");
        }
    }

    /// @dev By the leaf below the key, and by the key's own leaf: each satisfies one bound.
    function test_included_accounts_are_not_excluded() external view {
        (bytes32[] memory roots, bytes32[] memory keys) = (words(".notExcluded.root"), words(".notExcluded.key"));
        bytes[] memory proofs = blobs(".notExcluded.proof");
        assertTrue(roots.length > 60, "cases");
        for (uint256 i; i < roots.length; ++i) {
            bytes32 treeKey = verifier.computeTreeKey(keys[i]);
            assertFalse(verifier.isExcluded(roots[i], treeKey, proofs[i]), "excluded");
        }
    }

    function test_retired_keys_are_included() external view {
        (bytes32[] memory roots, bytes32[] memory keys) = (words(".retired.root"), words(".retired.key"));
        (bytes[] memory proofs, bytes[] memory exclusions) = (blobs(".retired.proof"), blobs(".retired.exclusion"));
        assertTrue(roots.length > 10, "cases");
        for (uint256 i; i < roots.length; ++i) {
            bytes32 treeKey = verifier.computeTreeKey(keys[i]);
            assertTrue(verifier.isIncluded(roots[i], treeKey, keccak256(""), proofs[i]), "retired");
            assertFalse(verifier.isExcluded(roots[i], treeKey, exclusions[i]), "absent");
        }
    }

    function test_unused_positions_exclude_nothing() external view {
        (bytes32[] memory roots, bytes32[] memory keys) = (words(".unused.root"), words(".unused.key"));
        bytes[] memory proofs = blobs(".unused.proof");
        assertTrue(roots.length > 5, "cases");
        for (uint256 i; i < roots.length; ++i) {
            assertFalse(verifier.isExcluded(roots[i], verifier.computeTreeKey(keys[i]), proofs[i]), "unused");
        }
    }

    function test_trees_that_axiom_published() external view {
        bytes32[] memory roots = words(".published.root");
        (bytes32[] memory present, bytes32[] memory absent) = (words(".published.present"), words(".published.absent"));
        (bytes[] memory exclusions, bytes[] memory inclusions) =
            (blobs(".published.exclusion"), blobs(".published.inclusion"));
        bytes32[] memory values = words(".published.value");
        assertEq(2, roots.length, "cases");
        for (uint256 i; i < roots.length; ++i) {
            assertTrue(verifier.isExcluded(roots[i], absent[i], exclusions[i]), "absent");
            assertTrue(verifier.isIncluded(roots[i], present[i], values[i], inclusions[i]), "present");
            assertFalse(verifier.isExcluded(roots[i], present[i], exclusions[i]), "present, excluded");
        }
    }

    function test_axioms_form() external view {
        (bytes32[] memory roots, bytes32[] memory keys) = (words(".axiom.root"), words(".axiom.key"));
        bytes[] memory proofs = blobs(".axiom.proof");
        assertTrue(roots.length > 60, "cases");
        for (uint256 i; i < roots.length; ++i) {
            assertTrue(verifier.isAuthoritative(roots[i], keys[i], proofs[i]), "authoritative");
            uint256 other = (i + 1) % roots.length;
            assertFalse(verifier.isAuthoritative(roots[i], keys[other], proofs[i]), "for another account");
            assertFalse(verifier.isAuthoritative(keys[i], keys[i], proofs[i]), "under another root");
        }
    }
}
