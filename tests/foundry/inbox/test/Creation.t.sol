// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IRollupInbox} from "microrollup/IRollupInbox.sol";
import {InboxTest} from "./InboxTest.sol";
import {Vm} from "./Vm.sol";

contract CreationTest is InboxTest {
    address private constant THIS_INBOX = address(type(uint160).max);
    address private constant PROXY = 0x4e59b44847b379578588920cA78FbF26c0B4956C;
    bytes private constant PROXY_CODE =
        hex"7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3";

    function refuse(IRollupInbox.Genesis memory genesis, bytes memory error) private {
        IRollupInbox.Domain memory domain = makeDomain();
        vm.expectRevert(error);
        this.deployFromOutside(genesis, domain, owner);
    }

    function refuseQuorum(IRollupInbox.Genesis memory genesis) private {
        refuse(
            genesis,
            abi.encodeWithSelector(IRollupInbox.BadQuorum.selector, genesis.verifiers.length, genesis.quorum)
        );
    }

    /// @notice The constructor computes the rollup id and the genesis block's hash from the preimage, and emits both.
    function test_ComputesIdentity() public {
        vm.recordLogs();
        IRollupInbox.Genesis memory genesis = makeGenesis();
        IRollupInbox made = deploy(genesis, makeDomain(), owner);
        bytes32 id = keccak256(
            abi.encode(
                "forge",
                block.chainid,
                genesis.genesisTime,
                genesis.stateRoot,
                genesis.metadataRoot,
                builder,
                keccak256(abi.encode(addressesOf(keys))),
                2,
                genesis.l1Start,
                genesis.salt
            )
        );
        IRollupInbox.Header memory header;
        header.rollupId = id;
        header.timestamp = genesis.genesisTime;
        header.l1Origin = genesis.l1Start;
        header.stateRoot = genesis.stateRoot;
        header.metadataRoot = genesis.metadataRoot;
        bytes32 hash = keccak256(abi.encode(header));
        equal(id, made.rollupId());
        equal(block.number, made.createdAt());
        IRollupInbox.Settled memory settled = made.settled();
        equal(
            keccak256(
                abi.encode(
                    0, hash, genesis.stateRoot, genesis.genesisTime, 0, genesis.l1Start, block.number, block.timestamp
                )
            ),
            keccak256(abi.encode(settled))
        );
        Vm.Log[] memory logs = vm.getRecordedLogs();
        equal(1, logs.length);
        equal(IRollupInbox.RollupCreated.selector, logs[0].topics[0]);
        equal(id, logs[0].topics[1]);
        equal(hash, logs[0].topics[2]);
        equal(keccak256(abi.encode(genesis, makeDomain(), owner, STF_ID)), keccak256(logs[0].data));
        equal(STF_ID, made.stfId());
    }

    /// @notice The settled root, and its height and L1 time, stand in the slots that L2s prove.
    function test_StorageLayout() public {
        settle(propose());
        IRollupInbox.Settled memory settled = inbox.settled();
        equal(settled.stateRoot, vm.load(address(inbox), bytes32(0)));
        equal(settled.blockHash, vm.load(address(inbox), bytes32(uint256(2))));
        uint256 head = uint256(vm.load(address(inbox), bytes32(uint256(1))));
        equal(1, uint64(head));
        equal(settled.height, uint64(head));
        equal(settled.forcedCount, uint32(head >> 64));
        equal(settled.timestamp, uint40(head >> 96));
        equal(settled.l1Origin, uint40(head >> 136));
        equal(settled.l1Number, uint40(head >> 176));
        equal(settled.l1Time, uint40(head >> 216));
        equal(block.timestamp, head >> 216);
    }

    /// @notice A genesis for another chain is refused.
    function test_WrongChain() public {
        IRollupInbox.Genesis memory genesis = makeGenesis();
        genesis.l1ChainId = 1;
        refuse(genesis, abi.encodeWithSelector(IRollupInbox.WrongChain.selector, 31337, 1));
    }

    /// @notice Wallets sign for this inbox, or for no contract; another one's address is refused.
    function test_WrongDomain() public {
        IRollupInbox.Domain memory domain = makeDomain();
        address next = vm.computeCreateAddress(address(this), vm.getNonce(address(this)));
        domain.verifyingContract = next;
        equal(next, address(deploy(makeGenesis(), domain, owner)));
        address after_ = vm.computeCreateAddress(address(this), vm.getNonce(address(this)));
        vm.expectRevert(abi.encodeWithSelector(IRollupInbox.WrongDomain.selector, after_, next));
        this.deployFromOutside(makeGenesis(), domain, owner);
    }

    /// @notice `0xff…ff` in the domain means the inbox itself, whose address is not known to who writes the arguments.
    function test_ThisInbox() public {
        IRollupInbox.Domain memory domain = makeDomain();
        domain.verifyingContract = THIS_INBOX;
        IRollupInbox.Genesis memory genesis = makeGenesis();
        vm.recordLogs();
        IRollupInbox made = deploy(genesis, domain, owner);
        domain.verifyingContract = address(made);
        equal(
            keccak256(abi.encode(genesis, domain, owner, STF_ID)), keccak256(vm.getRecordedLogs()[0].data)
        );
        domain.verifyingContract = address(uint160(THIS_INBOX) - 1);
        vm.expectRevert();
        this.deployFromOutside(genesis, domain, owner);
    }

    function planned(bytes memory creation) private view returns (address) {
        return address(
            uint160(uint256(keccak256(abi.encodePacked(hex"ff", PROXY, inbox.rollupId(), keccak256(creation)))))
        );
    }

    /// @notice Created through the deployment proxy an inbox is where its arguments say, whoever pays: a second time, by
    /// anybody, nothing is created, and other arguments are another address.
    function test_Create2() public {
        vm.etch(PROXY, PROXY_CODE);
        IRollupInbox.Domain memory domain = makeDomain();
        domain.verifyingContract = THIS_INBOX;
        bytes memory creation = encodeCreation(makeGenesis(), domain, owner);
        vm.prank(stranger);
        (bool made, bytes memory answer) = PROXY.call(bytes.concat(inbox.rollupId(), creation));
        require(made && planned(creation) == address(bytes20(answer)), "where it was planned");
        equal(inbox.rollupId(), IRollupInbox(planned(creation)).rollupId());
        (made,) = PROXY.call(bytes.concat(inbox.rollupId(), creation));
        require(!made, "once");
        bytes memory other = encodeCreation(makeGenesis(), domain, stranger);
        require(planned(other) != planned(creation), "another owner, another inbox");
    }

    /// @notice Not even the inbox itself can be brought to its address on another chain: its genesis names L1's.
    function test_Create2_OtherChain() public {
        vm.etch(PROXY, PROXY_CODE);
        IRollupInbox.Domain memory domain = makeDomain();
        domain.verifyingContract = THIS_INBOX;
        bytes memory creation = encodeCreation(makeGenesis(), domain, owner);
        bytes32 id = inbox.rollupId();
        vm.chainId(8453);
        (bool made,) = PROXY.call(bytes.concat(id, creation));
        require(!made && planned(creation).code.length == 0, "nothing");
        vm.chainId(31337);
        (made,) = PROXY.call(bytes.concat(id, creation));
        require(made && planned(creation).code.length != 0, "on L1");
    }

    /// @notice With 2m <= n two quorums can be disjoint, with m > n there is none.
    function test_QuorumIsMajority() public {
        IRollupInbox.Genesis memory genesis = makeGenesis();
        for (uint256 quorum = 0; quorum < 5; ++quorum) {
            genesis.quorum = quorum;
            if (quorum == 2 || quorum == 3) deploy(genesis, makeDomain(), owner);
            else refuseQuorum(genesis);
        }
        genesis.quorum = type(uint256).max;
        refuseQuorum(genesis);
    }

    /// @notice Half is no majority: one of two is refused, two of two are taken.
    function test_HalfIsNoQuorum() public {
        IRollupInbox.Genesis memory genesis = makeGenesis();
        genesis.verifiers = addressesOf(sortKeys(2));
        genesis.quorum = 2;
        deploy(genesis, makeDomain(), owner);
        genesis.quorum = 1;
        refuseQuorum(genesis);
    }

    /// @notice Verifiers ascend strictly from above zero: none twice, no zero, not none.
    function test_VerifiersAscend() public {
        IRollupInbox.Genesis memory genesis = makeGenesis();
        address[] memory good = genesis.verifiers;
        genesis.verifiers = addressesOf(keys);
        (genesis.verifiers[0], genesis.verifiers[1]) = (good[1], good[0]);
        refuseQuorum(genesis);
        (genesis.verifiers[0], genesis.verifiers[1]) = (good[0], good[0]);
        refuseQuorum(genesis);
        (genesis.verifiers[0], genesis.verifiers[1]) = (address(0), good[1]);
        refuseQuorum(genesis);
        genesis.verifiers = new address[](0);
        genesis.quorum = 0;
        refuseQuorum(genesis);
    }

    /// @notice 256 verifiers are taken, and the last one's bit counts like the first one's; 257 are refused.
    function test_LimitOfVerifiers() public {
        keys = sortKeys(256);
        IRollupInbox.Genesis memory genesis = makeGenesis();
        inbox = deploy(genesis, makeDomain(), owner);
        IRollupInbox.VerifierSet memory found = inbox.verifiers();
        equal(keccak256(abi.encode(addressesOf(keys))), keccak256(abi.encode(found.members)));
        equal(129, found.quorum);
        pass(1);
        Proposal memory proposal = propose();
        bytes32 digest = digestOf(proposal);
        proposal.signatures = "";
        for (uint256 i = 128; i < 256; ++i) {
            proposal.signatures = bytes.concat(proposal.signatures, sign(keys[i], digest));
        }
        refuse(proposal, abi.encodeWithSelector(IRollupInbox.TooFewAttestations.selector, 129, 128));
        bytes memory some = proposal.signatures;
        proposal.signatures = bytes.concat(some, sign(keys[255], digest));
        refuse(proposal, abi.encodeWithSelector(IRollupInbox.DuplicateAttester.selector, vm.addr(keys[255])));
        proposal.signatures = bytes.concat(some, sign(keys[0], digest));
        settle(proposal);

        genesis.verifiers = new address[](257);
        for (uint160 i = 0; i < 257; ++i) {
            genesis.verifiers[i] = address(i + 1);
        }
        refuseQuorum(genesis);
    }

    /// @notice The genesis may be as new as the creating block, not newer.
    function test_FutureTimestamp() public {
        IRollupInbox.Genesis memory genesis = makeGenesis();
        genesis.genesisTime = block.timestamp;
        deploy(genesis, makeDomain(), owner);
        genesis.genesisTime = block.timestamp + 1;
        refuse(
            genesis,
            abi.encodeWithSelector(IRollupInbox.FutureTimestamp.selector, block.timestamp, block.timestamp + 1)
        );
    }

    /// @notice The L1 start lies below the creating block.
    function test_BadOrigin() public {
        IRollupInbox.Genesis memory genesis = makeGenesis();
        genesis.l1Start = block.number - 1;
        deploy(genesis, makeDomain(), owner);
        genesis.l1Start = block.number;
        refuse(
            genesis, abi.encodeWithSelector(IRollupInbox.BadOrigin.selector, 0, block.number - 1, block.number)
        );
        genesis.l1Start = type(uint256).max;
        refuse(
            genesis, abi.encodeWithSelector(IRollupInbox.BadOrigin.selector, 0, block.number - 1, type(uint256).max)
        );
    }
}
