// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Create2} from "@openzeppelin/contracts/utils/Create2.sol";
import {IKeystoreVault} from "keystore/IKeystoreVault.sol";
import {Validators} from "keystore/Validators.sol";
import {IRollupInbox} from "microrollup/IRollupInbox.sol";
import {StateCosts} from "accounts-test/StateCosts.sol";
import {IMintable} from "./Tokens.sol";
import {Trees} from "./Trees.sol";
import {VaultVm} from "./VaultVm.sol";

/// @title A vault at a real inbox, and a state that the tests write leaf by leaf
abstract contract VaultBase is StateCosts {
    using Trees for Trees.Tree;

    /// @notice An account on the keystore.
    struct Account {
        bytes32 key;
        bytes data;
        bytes vk;
        bytes32 salt;
    }

    uint256 internal constant START = 200_000;
    uint256 internal constant SILENCE = 86_400;
    uint256 private constant _ATTESTER = 0xA77E57;
    bytes32 internal constant STF_ID = keccak256("stf");
    bytes32 private constant _ATTESTATION = keccak256(
        "BatchAttestation(bytes32 rollupId,uint64 firstHeight,uint64 lastHeight,bytes32 parentHash,bytes32 blockHash,bytes32 stateRoot,bytes32 dataHash)"
    );
    address internal constant MAKER = address(0x3A4E8);
    address internal constant ALICE = address(0xA11CE);
    address internal constant BOB = address(0xB0B);
    address internal constant STRANGER = address(0x57A46E8);
    address internal constant ETHER = address(0);
    bytes internal constant UNREGISTERED = hex"01";

    address internal builder = vm.addr(uint256(keccak256("builder")));
    IRollupInbox internal inbox;
    IKeystoreVault internal vault;
    address internal escapeVerifier;
    bytes32 internal rollupId;
    Trees.Tree internal tree;
    /// @notice What was paid in by `_depositAs`.
    mapping(uint64 id => IKeystoreVault.Deposit) internal deposits;

    function setUp() public virtual {
        vm.roll(START);
        vm.warp(START * 12);
        tree.start();
        vault = _deployVault();
        inbox = IRollupInbox(_deploy(_inboxInit(_genesis()), _computeRollupId(_genesis())));
        rollupId = inbox.rollupId();
        _bind();
        vm.deal(ALICE, 1_000 ether);
        vm.deal(BOB, 1_000 ether);
    }

    // The rollup on L1

    function _deployVault() internal returns (IKeystoreVault) {
        escapeVerifier = _deploy(_load("EscapeVerifier"));
        bytes memory arguments = abi.encode(MAKER, keccak256(_inboxCode()), escapeVerifier, _deployVerdicts());
        return IKeystoreVault(_deploy(abi.encodePacked(_load("KeystoreVault"), arguments)));
    }

    /// @notice What tells the vault how orders ended; here nothing.
    function _deployVerdicts() internal virtual returns (address) {
        return address(0);
    }

    function _inboxCode() internal view returns (bytes memory) {
        return _read("../../../microrollup/contracts/artifacts/RollupInbox.json");
    }

    function _genesis() internal view returns (IRollupInbox.Genesis memory) {
        address[] memory verifiers = new address[](1);
        verifiers[0] = vm.addr(_ATTESTER);
        return IRollupInbox.Genesis({
            name: "keystore-plus",
            l1ChainId: block.chainid,
            genesisTime: (START - 1) * 12,
            stateRoot: keccak256("genesis"),
            metadataRoot: keccak256(abi.encode(vault)),
            builder: builder,
            verifiers: verifiers,
            quorum: 1,
            l1Start: START - 1,
            salt: keccak256("salt")
        });
    }

    function _domain() internal view returns (IRollupInbox.Domain memory) {
        return IRollupInbox.Domain("keystore-plus", "1", block.chainid, address(type(uint160).max));
    }

    function _inboxInit(IRollupInbox.Genesis memory genesis) internal view returns (bytes memory) {
        return abi.encodePacked(_inboxCode(), abi.encode(genesis, _domain(), address(0), STF_ID));
    }

    function _computeRollupId(IRollupInbox.Genesis memory genesis) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                genesis.name,
                genesis.l1ChainId,
                genesis.genesisTime,
                genesis.stateRoot,
                genesis.metadataRoot,
                genesis.builder,
                keccak256(abi.encode(genesis.verifiers)),
                genesis.quorum,
                genesis.l1Start,
                genesis.salt
            )
        );
    }

    function _bind() internal {
        bytes memory code = _inboxCode();
        vm.prank(MAKER);
        vault.bind(code, _genesis(), _domain(), address(0), STF_ID);
    }

    function _pass(uint256 blocks) internal {
        vm.roll(block.number + blocks);
        vm.warp(block.timestamp + 12 * blocks);
    }

    /// @notice A batch of one block that takes so much of the queue, with the tree's root.
    function _settle(uint256 taken) internal {
        _settleRoot(tree.getRoot(), taken);
    }

    function _settleRoot(bytes32 root, uint256 taken) internal {
        IRollupInbox.Settled memory settled = inbox.settled();
        IRollupInbox.Header memory header;
        header.rollupId = rollupId;
        header.height = settled.height + 1;
        header.parentHash = settled.blockHash;
        header.timestamp = block.timestamp - 12;
        header.stfId = STF_ID;
        header.l1Origin = block.number - 1;
        header.forcedCount = taken;
        header.forcedHash = inbox.queueHash(taken);
        header.stateRoot = root;
        IRollupInbox.Claim memory claim =
            IRollupInbox.Claim(header.height, settled.blockHash, keccak256(hex"01"));
        bytes memory signature = _attest(header, claim);
        avm.prank(builder, builder);
        inbox.settleCalldata(header, claim, bytes.concat(hex"00", signature), "");
    }

    function _attest(IRollupInbox.Header memory header, IRollupInbox.Claim memory claim)
        private
        view
        returns (bytes memory)
    {
        bytes32 structHash = keccak256(
            abi.encode(
                _ATTESTATION,
                header.rollupId,
                claim.firstHeight,
                header.height,
                claim.parentHash,
                keccak256(abi.encode(header)),
                header.stateRoot,
                claim.dataHash
            )
        );
        return _sign(
            _ATTESTER, keccak256(abi.encodePacked(hex"1901", inbox.domainSeparator(), structHash))
        );
    }

    /// @notice The next L1 block settles the tree, takes the whole queue, and somebody records the root.
    function _settle() internal returns (bytes32 root) {
        _pass(1);
        _settle(inbox.queueLength());
        return vault.checkpoint();
    }

    // Leaves; their places by the documents, not by the library that is tested

    function _place(uint16 silo, bytes32 key) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(silo, key));
    }

    function _balancePlace(address token, bytes32 key) internal pure returns (bytes32) {
        return token == ETHER ? _place(1, key) : keccak256(abi.encodePacked(uint16(4), token, key));
    }

    function _setBalance(address token, bytes32 key, uint256 amount) internal {
        tree.set(_balancePlace(token, key), keccak256(abi.encode(amount)));
    }

    function _setAccount(Account memory account) internal {
        bytes memory value = abi.encodePacked(keccak256(account.data), keccak256(account.vk));
        tree.set(_place(0, account.key), keccak256(value));
    }

    function _setExit(bytes32 key, address previous, address next, uint64 effective) internal {
        tree.set(_place(11, key), keccak256(abi.encode(previous, next, effective)));
    }

    function _credit(uint64 id, bytes32 key) internal {
        tree.set(_place(10, bytes32(uint256(id))), keccak256(abi.encode(key)));
    }

    function _withdrawalPlace(address token, bytes32 id) internal pure returns (bytes32) {
        return _place(token == ETHER ? 3 : 5, id);
    }

    function _setWithdrawal(bytes32 id, address token, address to, uint256 amount) internal {
        bytes memory value =
            token == ETHER ? abi.encodePacked(to, amount) : abi.encode(token, to, amount);
        tree.set(_withdrawalPlace(token, id), keccak256(value));
    }

    function _include(bytes32 place) internal view returns (bytes memory) {
        return tree.include(place);
    }

    function _exclude(bytes32 place) internal view returns (bytes memory) {
        return tree.exclude(place);
    }

    function _account(bytes memory vk) internal pure returns (Account memory) {
        bytes memory data = abi.encodePacked(keccak256("code"), keccak256(vk));
        bytes32 salt = keccak256("salt");
        bytes32 key = keccak256(abi.encodePacked(salt, keccak256(data), keccak256(vk)));
        return Account(key, data, vk, salt);
    }

    function _accountOf(address vk) internal pure returns (Account memory) {
        return _account(abi.encodePacked(vk));
    }

    // Money

    function _holding(address token, address holder) internal view returns (uint256) {
        return token == ETHER ? holder.balance : IMintable(token).balanceOf(holder);
    }

    /// @notice Give an amount of a token to somebody who lets the vault take it.
    function _fund(address token, address holder, uint256 amount) internal {
        if (token == ETHER) {
            vm.deal(holder, holder.balance + amount);
            return;
        }
        IMintable(token).mint(holder, amount);
        vm.prank(holder);
        IMintable(token).approve(address(vault), amount);
    }

    function _depositAs(address payer, address token, bytes32 key, uint256 amount)
        internal
        returns (uint64 id)
    {
        uint256 before = _holding(token, address(vault));
        uint256 entry = inbox.queueLength();
        id = _tryDeposit(payer, token, key, amount);
        uint256 received = _holding(token, address(vault)) - before;
        deposits[id] = IKeystoreVault.Deposit(token, received, payer, entry);
    }

    /// @notice The call alone, for those that are refused.
    function _tryDeposit(address payer, address token, bytes32 key, uint256 amount) internal returns (uint64) {
        bytes32 id = rollupId;
        vm.prank(payer);
        return vault.deposit{value: token == ETHER ? amount : 0}(token, key, amount, payer, id, UNREGISTERED);
    }

    /// @notice Ether for accounts that tests write into the tree.
    function _fillVault(uint256 amount) internal {
        vm.deal(address(vault), address(vault).balance + amount);
    }

    function _claim(bytes32 root, bytes32 id, address token, address to, uint256 amount) internal {
        vault.claim(root, id, token, to, amount, _include(_withdrawalPlace(token, id)));
    }

    /// @notice Let the operator be silent for so long, with an entry in the queue.
    function _silence(uint256 blocks) internal {
        inbox.force(hex"00");
        _pass(blocks);
    }

    function _opening(Account memory account) internal view returns (IKeystoreVault.Opening memory) {
        return IKeystoreVault.Opening(
            account.data, account.vk, false, bytes32(0), _include(_place(0, account.key))
        );
    }

    function _openingByAbsence(Account memory account) internal view returns (IKeystoreVault.Opening memory) {
        return IKeystoreVault.Opening(
            account.data, account.vk, true, account.salt, _exclude(_place(0, account.key))
        );
    }

    function _refuse(bytes4 selector) internal {
        // Whatever the arguments of the error.
        VaultVm(address(vm)).expectPartialRevert(selector);
    }
}
