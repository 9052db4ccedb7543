// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Attestations} from "microrollup/Attestations.sol";
import {Bls} from "microrollup/Bls.sol";
import {IRollupInbox} from "microrollup/IRollupInbox.sol";
import {Vm} from "./Vm.sol";

/// @notice The library's digest at any address, whose domain it then has.
contract DigestHarness {
    function digest(IRollupInbox.Claim calldata claim, IRollupInbox.Header calldata header, bytes32 blockHash)
        external
        view
        returns (bytes32)
    {
        return Attestations.computeDigest(Attestations.computeDomainSeparator(), claim, header, blockHash);
    }
}

/// @notice The vectors under `tests/vectors/conformance`, computed by solc's own `abi.encode` and by the contracts.
contract ConformanceTest {
    Vm private constant VM = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    string private constant FOLDER = "../../vectors/conformance/";

    function load(string memory name) private view returns (string memory) {
        return VM.readFile(string.concat(FOLDER, name, ".json"));
    }

    function at(uint256 index, string memory member) private pure returns (string memory) {
        return string.concat(".cases[", VM.toString(index), "]", member);
    }

    function word(string memory json, uint256 index, string memory member) private pure returns (bytes32) {
        return VM.parseJsonBytes32(json, at(index, member));
    }

    function number(string memory json, uint256 index, string memory member) private pure returns (uint256) {
        return VM.parseJsonUint(json, at(index, member));
    }

    function count(string memory json, string memory member) private view returns (uint256 length) {
        while (VM.keyExistsJson(json, at(length, member))) ++length;
        require(length > 2, "cases");
    }

    function readHeader(string memory json, uint256 index) private pure returns (IRollupInbox.Header memory) {
        return IRollupInbox.Header({
            rollupId: word(json, index, ".header.rollupId"),
            height: number(json, index, ".header.height"),
            parentHash: word(json, index, ".header.parentHash"),
            timestamp: number(json, index, ".header.timestamp"),
            stfId: word(json, index, ".header.stfId"),
            l1Origin: number(json, index, ".header.l1Origin"),
            forcedCount: number(json, index, ".header.forcedCount"),
            forcedHash: word(json, index, ".header.forcedHash"),
            firstSeq: number(json, index, ".header.firstSeq"),
            actionCount: number(json, index, ".header.actionCount"),
            actionsRoot: word(json, index, ".header.actionsRoot"),
            receiptsRoot: word(json, index, ".header.receiptsRoot"),
            stateRoot: word(json, index, ".header.stateRoot"),
            metadataRoot: word(json, index, ".header.metadataRoot")
        });
    }

    /// @notice A block's hash is that of its header's words.
    function test_Headers() public view {
        string memory json = load("headers");
        for (uint256 i; i < count(json, ".blockHash"); ++i) {
            require(keccak256(abi.encode(readHeader(json, i))) == word(json, i, ".blockHash"), "block hash");
        }
    }

    /// @notice A seal signs a block's hash with the round in which it was built.
    function test_Seals() public view {
        string memory json = load("headers");
        for (uint256 i; i < count(json, ".blockHash"); ++i) {
            bytes32 digest =
                keccak256(abi.encode(word(json, i, ".blockHash"), number(json, i, ".seal.round")));
            require(digest == word(json, i, ".sealDigest"), "seal digest");
            bytes memory signature = VM.parseJsonBytes(json, at(i, ".seal.signature"));
            (bytes32 r, bytes32 s) = abi.decode(signature, (bytes32, bytes32));
            address sealer = ecrecover(digest, uint8(signature[64]), r, s);
            require(sealer == VM.parseJsonAddress(json, at(i, ".builder")), "sealer");
        }
    }

    /// @notice A rollup id is the hash of its genesis.
    function test_RollupIds() public view {
        string memory json = load("rollup-ids");
        for (uint256 i; i < count(json, ".rollupId"); ++i) {
            bytes32 verifiersHash = keccak256(abi.encode(VM.parseJsonAddressArray(json, at(i, ".genesis.verifiers"))));
            bytes32 id = keccak256(
                abi.encode(
                    VM.parseJsonString(json, at(i, ".genesis.name")),
                    number(json, i, ".genesis.l1ChainId"),
                    number(json, i, ".genesis.genesisTime"),
                    word(json, i, ".genesis.stateRoot"),
                    word(json, i, ".genesis.metadataRoot"),
                    VM.parseJsonAddress(json, at(i, ".genesis.builder")),
                    verifiersHash,
                    number(json, i, ".genesis.quorum"),
                    number(json, i, ".genesis.l1Start"),
                    word(json, i, ".genesis.salt")
                )
            );
            require(id == word(json, i, ".rollupId"), "rollup id");
        }
    }

    /// @notice An attestation's digest is what the inbox computes of claim and header.
    function test_Attestations() public {
        (string memory json, string memory headers) = (load("attestations"), load("headers"));
        for (uint256 i; i < count(json, ".digest"); ++i) {
            address inbox = VM.parseJsonAddress(json, at(i, ".inbox"));
            VM.etch(inbox, type(DigestHarness).runtimeCode);
            VM.chainId(number(json, i, ".chainId"));
            IRollupInbox.Claim memory claim = IRollupInbox.Claim({
                firstHeight: number(json, i, ".attestation.firstHeight"),
                parentHash: word(json, i, ".attestation.parentHash"),
                dataHash: word(json, i, ".attestation.dataHash")
            });
            bytes32 blockHash = word(json, i, ".attestation.blockHash");
            bytes32 digest = DigestHarness(inbox).digest(claim, readHeader(headers, i), blockHash);
            require(digest == word(json, i, ".digest"), "digest");
            bytes memory signature = VM.parseJsonBytes(json, at(i, ".signature"));
            (bytes32 r, bytes32 s) = (bytes32(0), bytes32(0));
            assembly ("memory-safe") {
                r := mload(add(signature, 32))
                s := mload(add(signature, 64))
            }
            address verifier = VM.parseJsonAddress(json, at(i, ".verifier"));
            require(ecrecover(digest, uint8(signature[64]), r, s) == verifier, "signer");
        }
    }

    /// @notice A set's identity; and of BLS, its keys' proofs and the sum of those that are not absent.
    function test_VerifierSets() public {
        string memory json = load("verifier-sets");
        for (uint256 i; i < count(json, ".id"); ++i) {
            uint256 rules = 0;
            while (VM.keyExistsJson(json, at(i, string.concat(".rules[", VM.toString(rules), "]")))) ++rules;
            IRollupInbox.VerifierSet memory set;
            set.kind = uint8(number(json, i, ".kind"));
            set.members = VM.parseJsonAddressArray(json, at(i, ".members"));
            set.quorum = number(json, i, ".quorum");
            set.rules = new IRollupInbox.Rule[](rules);
            for (uint256 j; j < rules; ++j) {
                string memory rule = string.concat(".rules[", VM.toString(j), "]");
                set.rules[j] = IRollupInbox.Rule(
                    uint8(number(json, i, string.concat(rule, ".kind"))),
                    VM.parseJsonAddress(json, at(i, string.concat(rule, ".verifier"))),
                    number(json, i, string.concat(rule, ".weight"))
                );
            }
            bytes32 id = keccak256(abi.encode(set.kind, set.members, set.quorum, set.rules));
            require(id == word(json, i, ".id"), "identity");
            if (set.kind == 1) verifyAggregate(json, i, rules > 0);
        }
    }

    function verifyAggregate(string memory json, uint256 i, bool hasRules) private {
        bytes memory signatures = VM.parseJsonBytes(json, at(i, ".signatures"));
        if (hasRules) (signatures,) = abi.decode(cut(signatures, 1, signatures.length - 1), (bytes, IRollupInbox.Proof[]));
        require(signatures[0] == 0x01, "kind");
        bytes memory code = hex"00";
        for (uint256 j; j < 11; ++j) {
            string memory place = string.concat("[", VM.toString(j), "]");
            bytes memory key = VM.parseJsonBytes(json, at(i, string.concat(".keys", place)));
            bytes memory padded = Bls.pad(key);
            bytes memory proof = VM.parseJsonBytes(json, at(i, string.concat(".proofsOfPossession", place)));
            require(Bls.isSigned(Bls.compress(padded), Bls.PROOF_DST, padded, proof), "proof");
            code = bytes.concat(code, key);
        }
        address[] memory pages = new address[](1);
        pages[0] = address(0xb15);
        VM.etch(pages[0], code);
        bytes memory bitmap = cut(signatures, 129, 2);
        (uint256 absent, bytes memory missing) = Bls.sum(bitmap, pages);
        (, bytes memory all) = Bls.sum(hex"ff07", pages);
        require(absent == 2 && bitmap[0] == 0x03, "absent");
        bytes memory digest = abi.encode(word(json, i, ".digest"));
        bytes memory present = Bls.subtract(all, missing);
        require(Bls.isSigned(digest, Bls.SIGNATURE_DST, present, cut(signatures, 1, 128)), "aggregate");
    }

    function cut(bytes memory from, uint256 start, uint256 length) private pure returns (bytes memory part) {
        part = new bytes(length);
        for (uint256 i; i < length; ++i) {
            part[i] = from[start + i];
        }
    }

    /// @notice The queue is a hash chain over sender, block and payload; an entry's identity is its place.
    function test_ForcedQueues() public view {
        string memory json = load("forced-queues");
        bytes32 queue;
        for (uint256 i; i < count(json, ".queueHash"); ++i) {
            bytes memory payload = VM.parseJsonBytes(json, at(i, ".payload"));
            address sender = VM.parseJsonAddress(json, at(i, ".sender"));
            queue = keccak256(abi.encode(queue, sender, number(json, i, ".inclusionBlock"), keccak256(payload)));
            require(queue == word(json, i, ".queueHash"), "queue hash");
            require(keccak256(abi.encode(word(json, i, ".rollupId"), i)) == word(json, i, ".identity"), "identity");
        }
    }
}
