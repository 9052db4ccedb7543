// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IRollupInbox} from "microrollup/IRollupInbox.sol";
import {BlsTest} from "./BlsTest.sol";

/// @notice A second batch with one blob, by sets of both kinds: the quorum of addresses, and keys with nobody or a third absent.
contract QuorumGas is BlsTest {
    uint256 private constant BAR = 260_000;
    uint256 private constant CALLDATA_BAR = 2_000;

    function measure(string memory name, Proposal memory proposal, bytes memory signatures) private returns (uint256) {
        vm.cool(address(inbox));
        address[] memory members = inbox.verifiers().members;
        for (uint256 i = 0; i < members.length; ++i) {
            vm.cool(members[i]);
        }
        vm.prank(builder, builder);
        inbox.settleBlobs(proposal.header, proposal.claim, signatures);
        bytes memory input =
            abi.encodeCall(IRollupInbox.settleBlobs, (proposal.header, proposal.claim, signatures));
        vm.snapshotValue("quorums", string.concat(name, ", calldata"), input.length);
        return vm.snapshotGasLastCall("quorums", name);
    }

    function byAddresses(uint256 count) private {
        keys = sortKeys(count);
        inbox = deploy(makeGenesis(), makeDomain(), owner);
        pass(1);
        for (uint256 round = 0; round < 2; ++round) {
            Proposal memory proposal = proposeBlobs(1);
            bytes32 digest = digestOf(proposal);
            bytes memory signatures = "";
            for (uint256 i = 0; i < 2 * count / 3; ++i) {
                signatures = bytes.concat(signatures, sign(keys[i], digest));
            }
            measure(string.concat("ECDSA ", vm.toString(count)), proposal, ecdsa(signatures));
            pass(1);
        }
    }

    function byKeys(uint256 count) private {
        useKeys(count, 2 * count / 3);
        uint256[3] memory absent = [uint256(0), 0, count - 2 * count / 3];
        for (uint256 round = 0; round < 3; ++round) {
            Proposal memory proposal = proposeBlobs(1);
            bytes memory signatures = aggregate(digestOf(proposal), absent[round]);
            string memory name = string.concat(
                "BLS ", vm.toString(count), round < 2 ? ", nobody absent" : ", a third absent"
            );
            uint256 gas = measure(name, proposal, signatures);
            if (count == 192) {
                require(gas < BAR, "gas");
                bytes memory input =
                    abi.encodeCall(IRollupInbox.settleBlobs, (proposal.header, proposal.claim, signatures));
                require(input.length < CALLDATA_BAR, "calldata");
            }
            pass(1);
        }
    }

    function test_Ecdsa3() public {
        byAddresses(3);
    }

    function test_Ecdsa12() public {
        byAddresses(12);
    }

    function test_Ecdsa24() public {
        byAddresses(24);
    }

    function test_Ecdsa48() public {
        byAddresses(48);
    }

    function test_Ecdsa96() public {
        byAddresses(96);
    }

    function test_Ecdsa192() public {
        byAddresses(192);
    }

    function test_Bls3() public {
        byKeys(3);
    }

    function test_Bls12() public {
        byKeys(12);
    }

    function test_Bls24() public {
        byKeys(24);
    }

    function test_Bls48() public {
        byKeys(48);
    }

    function test_Bls96() public {
        byKeys(96);
    }

    function test_Bls192() public {
        byKeys(192);
    }

    /// @notice A full page, and a set of three.
    function test_Announce() public {
        secrets = sortSecrets(192);
        address[] memory pages = register(secrets);
        (bytes memory found, bytes memory proofs) = (new bytes(0), new bytes(0));
        for (uint256 i = 0; i < PAGE; ++i) {
            found = bytes.concat(found, keyOf(secrets[i]));
            proofs = bytes.concat(proofs, proofOf(secrets[i]));
        }
        inbox.registerKeys(found, proofs);
        vm.snapshotGasLastCall("quorums", "registerKeys, 64");
        vm.prank(owner);
        inbox.changeVerifiers(setOfPages(pages, 128));
        vm.snapshotGasLastCall("quorums", "changeVerifiers, 192 keys");
    }
}
