// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IKeystoreRoots} from "keystore/IKeystoreRoots.sol";
import {L1Accounts} from "keystore/L1Accounts.sol";
import {L1Sload} from "keystore/L1Sload.sol";
import {L1SloadAccounts} from "keystore/L1SloadAccounts.sol";
import {L1SloadRoots} from "keystore/L1SloadRoots.sol";
import {Vm} from "keystore-test/Vm.sol";
import {Trees} from "./Trees.sol";
import {VaultBase} from "./VaultBase.sol";
import {VaultVm} from "./VaultVm.sol";

/// @notice L1SLOAD by RIP-7728's input and output; L1 is this very chain. Can look away, as a chain that knows an older block.
contract SloadPrecompile {
    Vm private constant _VM = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    bytes private _answer;

    function stop(bytes calldata answer) external {
        _answer = answer;
    }

    fallback() external {
        bytes memory answer = _answer;
        if (answer.length == 0) {
            require(msg.data.length % 32 == 20 && msg.data.length > 20 && msg.data.length <= 180, "RIP-7728");
            for (uint256 i = 20; i < msg.data.length; i += 32) {
                bytes32 word = _VM.load(address(bytes20(msg.data[:20])), bytes32(msg.data[i:i + 32]));
                answer = abi.encodePacked(answer, word);
            }
        }
        assembly ("memory-safe") {
            return(add(answer, 32), mload(answer))
        }
    }
}

/// @notice The part of the module that copies roots.
interface IPushing {
    struct Window {
        uint40 validAfter;
        uint40 validUntil;
    }

    struct Replaced {
        bytes27 root;
        uint40 validUntil;
    }

    function pushRoot(address account) external;
    function getRoots(address account)
        external
        view
        returns (bytes32 root, uint64 height, Window memory window, Replaced[4] memory replaced);
}

/// @notice The newest L1 block that the chain knows.
contract KnownL1 {
    uint64 public timestamp;

    function set(uint64 timestamp_) external {
        timestamp = timestamp_;
    }
}

/// @notice Roots and opened accounts, read from L1's storage by a precompile.
contract L1SloadTest is VaultBase {
    using Trees for Trees.Tree;

    address private constant PRECOMPILE = address(0x101);
    L1SloadRoots private roots;
    L1Accounts private l1Accounts;
    L1SloadAccounts private reader;
    KnownL1 private known;
    Account private account;

    function setUp() public override {
        super.setUp();
        vm.etch(PRECOMPILE, type(SloadPrecompile).runtimeCode);
        VaultVm(address(vm)).allowCheatcodes(PRECOMPILE);
        known = new KnownL1();
        roots = L1SloadRoots(_make("L1SloadRoots", abi.encode(inbox, PRECOMPILE, known)));
        l1Accounts = L1Accounts(_make("L1Accounts", abi.encode(inbox)));
        reader = L1SloadAccounts(_make("L1SloadAccounts", abi.encode(l1Accounts, PRECOMPILE)));
        account = _accountOf(ALICE);
    }

    function _make(string memory name, bytes memory arguments) private returns (address) {
        return _deploy(abi.encodePacked(_load(name), arguments));
    }

    function _settleAt(uint64 l1Time) private returns (bytes32) {
        _pass(1);
        _settle(0);
        known.set(l1Time);
        return tree.getRoot();
    }

    function _assertLatest(bytes32 root, uint64 height, uint256 l1Time, uint256 settledAt) private view {
        (bytes32 foundRoot, uint64 foundHeight, uint64 foundTime, uint64 foundSettledAt) = roots.latest();
        assertEq(root, foundRoot, "root");
        assertEq(height, foundHeight, "height");
        assertEq(l1Time, foundTime, "L1 time");
        assertEq(settledAt, foundSettledAt, "settled at");
    }

    // Roots

    function test_Roots() public {
        bytes32 first = _settleAt(uint64(block.timestamp + 12));
        uint256 settledAt = block.timestamp;
        roots.readInbox();
        _assertLatest(first, 1, settledAt, settledAt);
        // Idle: only the time moves on.
        _pass(10);
        known.set(uint64(block.timestamp - 24));
        roots.readInbox();
        _assertLatest(first, 1, block.timestamp - 24, settledAt);
        _setAccount(account);
        bytes32 second = _settleAt(uint64(block.timestamp + 12));
        roots.readInbox();
        _assertLatest(second, 2, block.timestamp, block.timestamp);
        assertEq(block.timestamp, roots.replacedAt(first), "accounts that were signed for it have their time");
        assertEq(settledAt + 96, roots.shownAt(first), "and it has its own");
    }

    /// @notice Accounts copy the root as from any other contract of roots, and read no precompile while they validate.
    function test_AccountsCopy() public {
        IPushing module = IPushing(_make("KeystoreModule", abi.encode(roots)));
        vm.expectRevert(bytes4(keccak256("NoRoot()")));
        module.pushRoot(ALICE);
        bytes32 root = _settleAt(uint64(block.timestamp + 12));
        roots.readInbox();
        vm.etch(PRECOMPILE, "");
        module.pushRoot(ALICE);
        (bytes32 copied, uint64 height,,) = module.getRoots(ALICE);
        assertEq(root, copied, "the inbox's root");
        assertEq(1, height, "of its height");
    }

    /// @notice The predeploy may know an older block than the precompile: the root was there when L1 took it, at least.
    function test_OlderTime() public {
        bytes32 root = _settleAt(1);
        roots.readInbox();
        _assertLatest(root, 1, block.timestamp, block.timestamp);
    }

    /// @notice A chain that goes back, contradicts itself, is ahead of itself, or has no precompile.
    function test_RefuseRoots() public {
        bytes memory old = abi.encode(vm.load(address(inbox), 0), vm.load(address(inbox), bytes32(uint256(1))));
        _settleAt(uint64(block.timestamp + 12));
        roots.readInbox();
        SloadPrecompile(PRECOMPILE).stop(old);
        _refuse(IKeystoreRoots.StaleRoot.selector);
        roots.readInbox();
        SloadPrecompile(PRECOMPILE).stop(abi.encode(keccak256("other"), vm.load(address(inbox), bytes32(uint256(1)))));
        _refuse(IKeystoreRoots.ConflictingRoot.selector);
        roots.readInbox();
        SloadPrecompile(PRECOMPILE).stop(abi.encode(0, 9));
        _refuse(IKeystoreRoots.ZeroRoot.selector);
        roots.readInbox();
        SloadPrecompile(PRECOMPILE).stop(hex"00");
        _refuse(L1Sload.NoL1Sload.selector);
        roots.readInbox();
        SloadPrecompile(PRECOMPILE).stop("");
        known.set(uint64(block.timestamp + 1));
        _refuse(IKeystoreRoots.FutureRoot.selector);
        roots.readInbox();
        vm.etch(PRECOMPILE, "");
        _refuse(L1Sload.NoL1Sload.selector);
        roots.readInbox();
        vm.etch(address(known), "");
        _refuse(IKeystoreRoots.NoL1Block.selector);
        roots.readInbox();
    }

    // Accounts

    function _open() private {
        bytes memory proof = _include(_place(0, account.key));
        l1Accounts.open(account.key, keccak256(account.data), keccak256(account.vk), proof);
    }

    function _assertOpened(Account memory expected, uint256 height, uint256 l1Time) private view {
        (bytes32 valueHash, uint64 foundHeight, uint64 foundTime) = reader.getAccount(account.key);
        bytes memory value = abi.encodePacked(keccak256(expected.data), keccak256(expected.vk));
        assertEq(keccak256(value), valueHash, "as the tree has it");
        assertEq(height, foundHeight, "height");
        assertEq(l1Time, foundTime, "L1 time");
        assertTrue(reader.isConfigured(account.key, keccak256(expected.data), keccak256(expected.vk)), "its configuration");
        (bytes32 there,,) = l1Accounts.getAccount(account.key);
        assertEq(valueHash, there, "on L1 the same");
    }

    function test_Accounts() public {
        bytes32 key = account.key;
        Account memory initial = account;
        _settleAt(0);
        bytes memory proof = _exclude(_place(0, key));
        l1Accounts.openInitial(key, keccak256(account.data), keccak256(account.vk), account.salt, proof);
        _assertOpened(initial, 1, block.timestamp);
        // A rotation counts when somebody opens the account again.
        account.vk = abi.encodePacked(BOB);
        _setAccount(account);
        _settleAt(0);
        _assertOpened(initial, 1, block.timestamp - 12);
        vm.prank(STRANGER);
        _open();
        _assertOpened(account, 2, block.timestamp);
        assertFalse(reader.isConfigured(key, keccak256(initial.data), keccak256(initial.vk)), "no longer");
        // Nobody goes back: the proofs of the earlier state lead to a root that the inbox no longer holds.
        _refuse(L1Accounts.WrongProof.selector);
        l1Accounts.openInitial(key, keccak256(initial.data), keccak256(initial.vk), initial.salt, proof);
        bytes32 low = _place(0, key);
        proof = _exclude(low);
        _refuse(L1Accounts.WrongProof.selector);
        l1Accounts.openInitial(key, keccak256(initial.data), keccak256(initial.vk), initial.salt, proof);
    }

    function test_ReadersStop() public {
        bytes32 key = account.key;
        vm.expectRevert(abi.encodeWithSelector(L1SloadAccounts.NotOpen.selector, key, 0));
        reader.getAccount(key);
        _setAccount(account);
        _settleAt(0);
        _open();
        uint256 opened = block.timestamp;
        vm.warp(opened + 7 days);
        _assertOpened(account, 1, opened);
        vm.warp(opened + 7 days + 1);
        vm.expectRevert(abi.encodeWithSelector(L1SloadAccounts.NotOpen.selector, key, opened));
        reader.getAccount(key);
        vm.expectRevert(abi.encodeWithSelector(L1SloadAccounts.NotOpen.selector, key, opened));
        reader.isConfigured(key, keccak256(account.data), keccak256(account.vk));
        _open(); // anybody, again
        _assertOpened(account, 1, block.timestamp);
        vm.etch(PRECOMPILE, "");
        _refuse(L1Sload.NoL1Sload.selector);
        reader.getAccount(key);
    }

    /// @notice Nobody is opened with another key, data, vk or salt, by a leaf of another silo, or under a root that is not the
    /// inbox's.
    function test_RefuseOpenings() public {
        (bytes32 key, bytes32 data, bytes32 vk) = (account.key, keccak256(account.data), keccak256(account.vk));
        _settleAt(0);
        bytes memory absent = _exclude(_place(0, key));
        bytes4 wrong = L1Accounts.WrongProof.selector;
        _refuse(wrong);
        l1Accounts.openInitial(key, data, vk, keccak256("another"), absent);
        _refuse(wrong);
        l1Accounts.openInitial(key, vk, data, account.salt, absent);
        _refuse(wrong);
        l1Accounts.openInitial(keccak256("another"), data, vk, account.salt, absent);
        _setAccount(account);
        bytes memory present = _include(_place(0, key));
        _refuse(wrong); // not settled yet
        l1Accounts.open(key, data, vk, present);
        tree.set(_place(1, keccak256("key")), keccak256(abi.encodePacked(data, vk)));
        _settleAt(0);
        present = _include(_place(0, key));
        _refuse(wrong);
        l1Accounts.open(key, vk, data, present);
        _refuse(wrong);
        l1Accounts.open(keccak256("another"), data, vk, present);
        present = _include(_place(1, keccak256("key")));
        _refuse(wrong);
        l1Accounts.open(keccak256("key"), data, vk, present);
        (bytes32 valueHash,, uint64 l1Time) = l1Accounts.getAccount(key);
        assertEq(0, uint256(valueHash) | l1Time, "nothing is open");
    }
}
