// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IRollupInbox} from "microrollup/IRollupInbox.sol";
import {Vm} from "./Vm.sol";

/// @notice An inbox of the compiled artifact with three verifiers, two of them the quorum, and batches that it takes.
abstract contract InboxTest {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    uint256 internal constant START = 200_000;
    uint256 internal constant DELAY = 21_600;
    uint256 internal constant VOID_AGE = 43_200;
    uint256 internal constant SILENCE = 7_200;
    uint256 internal constant ORIGIN_AGE = 14_400;
    uint256 internal constant ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
    bytes32 internal constant STF_ID = keccak256("stf");
    bytes32 internal constant ATTESTATION_TYPE = keccak256(
        "BatchAttestation(bytes32 rollupId,uint64 firstHeight,uint64 lastHeight,bytes32 parentHash,bytes32 blockHash,bytes32 stateRoot,bytes32 dataHash)"
    );

    struct Proposal {
        IRollupInbox.Header header;
        IRollupInbox.Claim claim;
        bytes signatures;
        bytes batch;
    }

    IRollupInbox internal inbox;
    /// @dev In the order of their addresses.
    uint256[] internal keys;
    address internal builder = vm.addr(uint256(keccak256("builder")));
    address internal owner = vm.addr(uint256(keccak256("owner")));
    address internal stranger = vm.addr(uint256(keccak256("stranger")));

    function setUp() public virtual {
        vm.roll(START);
        vm.warp(START * 12);
        keys = sortKeys(3);
        inbox = deploy(makeGenesis(), makeDomain(), owner);
        pass(10);
    }

    // Setting up.

    function sortKeys(uint256 count) internal pure returns (uint256[] memory sorted) {
        sorted = new uint256[](count);
        address[] memory addresses = new address[](count); // `addr` multiplies on the curve: once for each key
        for (uint256 i = 0; i < count; ++i) {
            uint256 key = uint256(keccak256(abi.encode("verifier", i)));
            address account = vm.addr(key);
            uint256 place = i;
            for (; place > 0 && addresses[place - 1] > account; --place) {
                (sorted[place], addresses[place]) = (sorted[place - 1], addresses[place - 1]);
            }
            (sorted[place], addresses[place]) = (key, account);
        }
    }

    function addressesOf(uint256[] memory some) internal pure returns (address[] memory addresses) {
        addresses = new address[](some.length);
        for (uint256 i = 0; i < some.length; ++i) {
            addresses[i] = vm.addr(some[i]);
        }
    }

    function makeGenesis() internal view returns (IRollupInbox.Genesis memory) {
        return IRollupInbox.Genesis({
            name: "forge",
            l1ChainId: block.chainid,
            genesisTime: (START - 1) * 12,
            stateRoot: keccak256("genesis state"),
            metadataRoot: keccak256("genesis metadata"),
            builder: builder,
            verifiers: addressesOf(keys),
            quorum: keys.length / 2 + 1,
            l1Start: START - 1,
            salt: keccak256("salt")
        });
    }

    function makeDomain() internal view returns (IRollupInbox.Domain memory) {
        return IRollupInbox.Domain("forge", "1", block.chainid, address(0));
    }

    function getCode() internal view returns (bytes memory) {
        return vm.parseJsonBytes(
            vm.readFile("../../../microrollup/contracts/artifacts/RollupInbox.json"), ".bytecode"
        );
    }

    function deploy(IRollupInbox.Genesis memory genesis, IRollupInbox.Domain memory domain, address first)
        internal
        returns (IRollupInbox)
    {
        return deploy(genesis, domain, first, STF_ID);
    }

    function deploy(
        IRollupInbox.Genesis memory genesis,
        IRollupInbox.Domain memory domain,
        address first,
        bytes32 stfId
    ) internal returns (IRollupInbox made) {
        bytes memory code = bytes.concat(getCode(), abi.encode(genesis, domain, first, stfId));
        assembly ("memory-safe") {
            made := create(0, add(code, 32), mload(code))
            if iszero(made) {
                returndatacopy(code, 0, returndatasize())
                revert(code, returndatasize())
            }
        }
    }

    function encodeCreation(IRollupInbox.Genesis memory genesis, IRollupInbox.Domain memory domain, address first)
        internal
        view
        returns (bytes memory)
    {
        return bytes.concat(getCode(), abi.encode(genesis, domain, first, STF_ID));
    }

    /// @notice For `expectRevert`, which wants a call.
    function deployFromOutside(
        IRollupInbox.Genesis memory genesis,
        IRollupInbox.Domain memory domain,
        address first
    ) external returns (IRollupInbox) {
        return deploy(genesis, domain, first);
    }

    /// @notice Let L1 pass by some blocks of 12 seconds.
    function pass(uint256 blocks) internal {
        vm.roll(block.number + blocks);
        vm.warp(block.timestamp + 12 * blocks);
    }

    // Batches.

    function hashBatch(bytes memory batch) internal pure returns (bytes32) {
        return keccak256(bytes.concat(hex"01", batch));
    }

    function hashBlobs(bytes32[] memory hashes) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(bytes1(0x02), hashes));
    }

    function makeBlobs(uint256 count) internal pure returns (bytes32[] memory hashes) {
        hashes = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            hashes[i] = bytes32(uint256(keccak256(abi.encode("blob", i))) >> 8 | 1 << 248);
        }
    }

    /// @notice A batch of one block on top of what is settled, in calldata, which the inbox takes.
    function propose() internal view returns (Proposal memory proposal) {
        IRollupInbox.Settled memory settled = inbox.settled();
        IRollupInbox.Header memory header = proposal.header;
        header.rollupId = inbox.rollupId();
        header.height = settled.height + 1;
        header.parentHash = settled.blockHash;
        header.timestamp = block.timestamp - 12;
        header.stfId = STF_ID;
        header.l1Origin = block.number - 1;
        header.forcedCount = settled.forcedCount;
        header.forcedHash = inbox.queueHash(settled.forcedCount);
        header.firstSeq = settled.height;
        header.stateRoot = keccak256(abi.encode("state", settled.blockHash));
        header.metadataRoot = keccak256(abi.encode("metadata", settled.blockHash));
        proposal.batch = bytes.concat("batch", settled.blockHash);
        proposal.claim = IRollupInbox.Claim(settled.height + 1, settled.blockHash, hashBatch(proposal.batch));
        attest(proposal);
    }

    /// @notice The same, with the data in so many blobs of the transaction.
    function proposeBlobs(uint256 count) internal returns (Proposal memory proposal) {
        bytes32[] memory hashes = makeBlobs(count);
        vm.blobhashes(hashes);
        proposal = propose();
        proposal.claim.dataHash = hashBlobs(hashes);
        attest(proposal);
    }

    /// @notice Take so many entries of the queue, and attest that.
    function take(Proposal memory proposal, uint256 forcedCount) internal view {
        proposal.header.forcedCount = forcedCount;
        proposal.header.forcedHash = inbox.queueHash(forcedCount);
        attest(proposal);
    }

    function domainOf(string memory name, uint256 chainId, address contract_) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256(bytes(name)),
                keccak256("1"),
                chainId,
                contract_
            )
        );
    }

    function digestOf(bytes32 domain, Proposal memory proposal) internal pure returns (bytes32) {
        bytes32 structHash = keccak256(
            abi.encode(
                ATTESTATION_TYPE,
                proposal.header.rollupId,
                proposal.claim.firstHeight,
                proposal.header.height,
                proposal.claim.parentHash,
                keccak256(abi.encode(proposal.header)),
                proposal.header.stateRoot,
                proposal.claim.dataHash
            )
        );
        return keccak256(bytes.concat(hex"1901", domain, structHash));
    }

    function digestOf(Proposal memory proposal) internal view returns (bytes32) {
        return digestOf(domainOf("microrollup", block.chainid, address(inbox)), proposal);
    }

    function sign(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    /// @notice Who signed a digest, as far as anybody can tell who takes it for another one.
    function signerOf(bytes32 digest, bytes memory signature) internal pure returns (address) {
        bytes32 r;
        bytes32 s;
        assembly ("memory-safe") {
            r := mload(add(signature, 32))
            s := mload(add(signature, 64))
        }
        return ecrecover(digest, uint8(signature[64]), r, s);
    }

    function foreign(address signer) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IRollupInbox.ForeignAttester.selector, signer);
    }

    /// @notice Signatures of 65 bytes each, as a set of addresses takes them.
    function ecdsa(bytes memory joined) internal pure returns (bytes memory) {
        return bytes.concat(hex"00", joined);
    }

    /// @notice A set of addresses without rules.
    function setOf(address[] memory addresses, uint256 quorum) internal pure returns (IRollupInbox.VerifierSet memory) {
        return IRollupInbox.VerifierSet(0, addresses, quorum, new IRollupInbox.Rule[](0));
    }

    /// @notice The first two verifiers sign.
    function attest(Proposal memory proposal) internal view {
        bytes32 digest = digestOf(proposal);
        proposal.signatures = sign(keys[0], digest);
        if (keys.length > 1) proposal.signatures = bytes.concat(proposal.signatures, sign(keys[1], digest));
    }

    function settle(Proposal memory proposal) internal {
        settleAs(builder, proposal);
    }

    function settleAs(address submitter, Proposal memory proposal) internal {
        vm.prank(submitter, submitter);
        inbox.settleCalldata(proposal.header, proposal.claim, ecdsa(proposal.signatures), proposal.batch);
    }

    function settleBlobs(Proposal memory proposal) internal {
        vm.prank(builder, builder);
        inbox.settleBlobs(proposal.header, proposal.claim, ecdsa(proposal.signatures));
    }

    function refuse(Proposal memory proposal, bytes memory error) internal {
        vm.expectRevert(error);
        settle(proposal);
    }

    function refuseBlobs(Proposal memory proposal, bytes memory error) internal {
        vm.expectRevert(error);
        settleBlobs(proposal);
    }

    function force(address sender, bytes memory payload) internal returns (uint256) {
        vm.prank(sender);
        return inbox.force(payload);
    }

    // Saying what should be.

    function bound(uint256 value, uint256 low, uint256 high) internal pure returns (uint256) {
        return low + value % (high - low + 1);
    }

    function equal(uint256 expected, uint256 actual) internal pure {
        require(expected == actual, string.concat("expected ", toText(expected), ", found ", toText(actual)));
    }

    function equal(bytes32 expected, bytes32 actual) internal pure {
        equal(uint256(expected), uint256(actual));
    }

    function equal(address expected, address actual) internal pure {
        equal(uint160(expected), uint160(actual));
    }

    function toText(uint256 value) internal pure returns (string memory text) {
        bytes memory digits = new bytes(64);
        for (uint256 i = 64; i > 0; --i) {
            digits[i - 1] = bytes16("0123456789abcdef")[value & 15];
            value >>= 4;
        }
        return string.concat("0x", string(digits));
    }
}
