// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IRollupInbox} from "../../../microrollup/contracts/IRollupInbox.sol";
import {KeystoreOrder} from "./OrderLeaves.sol";

/// @title The money of one Keystore+ on L1
/// @notice Ether and ERC-20 tokens that the rollup's accounts own; token zero is ether. What is paid out is proven against a
/// state root of the rollup's inbox, and each leaf of the state pays once. Tokens whose balances change by themselves
/// (rebasing ones) are not supported: what they add belongs to nobody, what they take is missing for the last to leave.
interface IKeystoreVault {
    /// @notice What the inbox held when somebody recorded a root: how many entries of its queue were taken, the settled
    /// block's height and its time (seconds), and the L1 block of the record.
    struct Checkpoint {
        uint64 height;
        uint32 forcedCount;
        uint40 timestamp;
        uint40 recordedAt;
    }

    /// @notice A deposit, as its event tells it: what, who gets it back, and which entry of the inbox's queue carries it.
    struct Deposit {
        address token;
        uint256 amount;
        address refundTo;
        uint256 entry;
    }

    /// @notice How an escape shows whose account it is. The account's inclusion, or, if it was never registered, its
    /// exclusion and the salt that makes `key` from data and vk.
    struct Opening {
        bytes data;
        bytes vk;
        bool isExclusion;
        bytes32 salt;
        bytes proof;
    }

    event Bound(address indexed inbox, bytes32 indexed rollupId);
    event Deposited(
        uint64 indexed id,
        address indexed token,
        bytes32 indexed key,
        uint256 amount,
        address refundTo,
        uint256 entry
    );
    event Recorded(bytes32 indexed root, uint64 height, uint32 forcedCount, uint40 timestamp);
    event Claimed(bytes32 indexed treeKey, address indexed token, address indexed to, uint256 amount);
    event Reclaimed(uint64 indexed id, address indexed token, address indexed to, uint256 amount);
    event Escaped(bytes32 indexed key, address indexed token, address indexed to, uint256 amount);
    /// @notice An order's end was put into the inbox's queue; claimant zero: nobody filled.
    event OrderEnded(bytes32 indexed orderId, address indexed claimant, uint256 entry);
    event OrderEscaped(bytes32 indexed orderId, address indexed token, address indexed to, uint256 amount);
    /// @notice From now on only this root counts; `entry` of the inbox's queue tells the rollup.
    event Frozen(bytes32 indexed root, uint64 height, uint256 entry);

    /// @notice The vault is at work already: a token or a recipient called back.
    error Reentered();
    /// @notice Only the maker binds the vault to an inbox.
    error NotMaker(address caller);
    /// @notice The vault has an inbox, and never another one.
    error AlreadyBound();
    /// @notice The vault has no inbox yet.
    error NotBound();
    /// @notice The creation code is not that of the inbox for which this vault was made.
    error WrongInboxCode(bytes32 expected, bytes32 found);
    /// @notice The inbox with these arguments is not deployed.
    error NoInbox(address inbox);
    /// @notice The caller meant another rollup, or another owner of its inbox.
    error WrongRollup(bytes32 expected, bytes32 found);
    /// @notice The vault is frozen at a root: nothing comes in any more.
    error VaultFrozen(bytes32 root);
    /// @notice The ether that was sent is not what was to be paid in.
    error WrongValue(uint256 expected, uint256 found);
    /// @notice Nothing would be paid, or has arrived.
    error NothingPaid();
    /// @notice Money has no way to the zero address.
    error ZeroAddress();
    /// @notice The registration is neither the flag of a key that is not registered, nor a proof of the key's account under
    /// a recorded root.
    error NotRegistered(bytes32 key);
    /// @notice Nobody recorded this root while the inbox held it; after the freeze, escapes take the frozen one only.
    error UnknownRoot(bytes32 root);
    /// @notice The proof does not show under the root what it should.
    error WrongProof();
    /// @notice What this leaf gave has been paid.
    error AlreadyPaid(bytes32 treeKey);
    /// @notice There is no such deposit of this id, or it was paid back.
    error NoDeposit(uint64 id);
    /// @notice The recorded root has taken `taken` entries of the queue, and not yet the deposit's.
    error DepositPending(uint256 entry, uint256 taken);
    /// @notice The operator is not silent: the oldest entry that it has not taken is `age` blocks old; 0 if there is none.
    error OperatorAlive(uint256 age);
    /// @notice No settler has told how this order ended.
    error NoVerdict(bytes32 orderId);
    /// @notice A filler's message may yet come: the order escapes after `from` (seconds).
    error OrderPending(uint256 from);
    /// @notice The vault is not frozen.
    error NotFrozen();
    /// @notice Nobody who may move the account's money has agreed.
    error NotAuthorized(bytes32 key);

    /// @notice Name, once and as the maker, the inbox whose roots count: by its creation code and its constructor's
    /// arguments, from which its rollup id and its CREATE2 address follow. Until then nothing can be paid in.
    function bind(
        bytes calldata creationCode,
        IRollupInbox.Genesis calldata genesis,
        IRollupInbox.Domain calldata domain,
        address owner,
        bytes32 stfId
    ) external;

    /// @notice Pay in for the account of `key`. `amount` is what leaves the caller; what arrives is credited. `refundTo` gets
    /// it back if the rollup does not credit it. `target` is the caller's word that this is the vault he means: see `depositTarget`.
    /// `registration` is 0x01 for a key that need not be registered (yet), or it shows the account, so that nothing is paid to
    /// a mistyped key: `0x00 | root 32 | keccak256(data) 32 | keccak256(vk) 32 | inclusion proof`, under a recorded root.
    function deposit(
        address token,
        bytes32 key,
        uint256 amount,
        address refundTo,
        bytes32 target,
        bytes calldata registration
    ) external payable returns (uint64 id);

    /// @notice The same with the allowance given by a signature (ERC-2612) of the caller; an allowance that is there already
    /// serves where the signature does not.
    function depositWithPermit(
        address token,
        bytes32 key,
        uint256 amount,
        address refundTo,
        bytes32 target,
        bytes calldata registration,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external returns (uint64 id);

    /// @notice Record the root that the inbox holds now. Anybody may.
    function checkpoint() external returns (bytes32 root);

    /// @notice Pay the withdrawal `id` to whom it names, under any recorded root: withdrawals are never deleted. Anybody may.
    function claim(bytes32 root, bytes32 id, address token, address to, uint256 amount, bytes calldata proof) external;

    /// @notice Pay a withdrawal of ether by its place in the tree, as Axiom's bridge names it. Both ways share one record of what
    /// was paid.
    function claimLeaf(bytes32 root, bytes32 treeKey, address to, uint256 amount, bytes calldata proof) external;

    /// @notice Pay a withdrawal to the caller into a bridge: see `IVaultBridge`.
    function claimTo(
        bytes32 root,
        bytes32 id,
        address token,
        uint256 amount,
        bytes calldata proof,
        address bridge,
        bytes calldata parameters
    ) external;

    /// @notice Pay back a deposit that the rollup did not credit: it is absent under a recorded root that has taken its entry, or
    /// under the frozen one. Anybody may; `refundTo` gets it.
    function reclaim(uint64 id, Deposit calldata paid, bytes32 root, bytes calldata proof) external;

    /// @notice Stop for ever at the inbox's present root, because an entry of its queue has waited for 86,400 blocks. Anybody
    /// may. From then on accounts escape, and what was not credited is paid back.
    function freeze() external;

    /// @notice Pay what an account has of a token under the frozen root, once, to whom its holder says; freezes first if that
    /// is due. `authorization` is one of:
    ///
    ///     0                            the caller is the vk
    ///     1 | signature                of the vk over Escape(bytes32 key,address token,address to) in the domain
    ///                                  {KeystoreVault, 1, chain id, this}: see `EscapeVerifier`
    ///     2 | signatures               of Axiom's m of n over the same; the owners are in the data
    ///     3 | previous 20 | next 20 | effective 8 | inclusion proof
    ///                                  of the account's exit, which is where the money goes; anybody may call
    ///
    /// The money of an account that a recovery has locked goes where the recovery's next vk says, by 0 or 1.
    function escape(
        bytes32 key,
        address token,
        address to,
        uint256 amount,
        Opening calldata opening,
        bytes calldata balanceProof,
        bytes calldata authorization
    ) external;

    /// @notice Tell the rollup how an order ended, by the word of its chain's settler. `proof` shows the open order under a
    /// recorded root: the settler's chain cannot know whether there is such an order. Anybody may. What a filler earned is then
    /// a withdrawal under the order's id.
    function endOrder(bytes32 orderId, KeystoreOrder calldata order, bytes32 root, bytes calldata proof) external;

    /// @notice Pay what an open order locked under the frozen root, once: to the claimant if its settler says that it was filled;
    /// else to whom the order's owner says, as an escape does, and only once no such message can come any more.
    function escapeOrder(
        bytes32 orderId,
        KeystoreOrder calldata order,
        bytes calldata proof,
        address to,
        Opening calldata opening,
        bytes calldata authorization
    ) external;

    function inbox() external view returns (IRollupInbox);
    function rollupId() external view returns (bytes32);
    /// @notice What a deposit must name: the rollup's id; or, where the inbox was made with an owner,
    /// `keccak256(abi.encode(rollupId, inbox))`. The maker could bind an inbox of the same id with another owner, who would have
    /// the money three days later.
    function depositTarget() external view returns (bytes32);
    /// @notice The root at which the vault stopped; zero while it has not.
    function frozenRoot() external view returns (bytes32);
    function getCheckpoint(bytes32 root) external view returns (Checkpoint memory);
    /// @notice keccak256 of the ABI encoding of a `Deposit` that can be reclaimed or was credited; zero otherwise.
    function getDepositHash(uint64 id) external view returns (bytes32);
    function depositCount() external view returns (uint64);
    /// @notice Whether what the leaf at `treeKey` gave was paid: a withdrawal, or a balance that escaped.
    function isPaid(bytes32 treeKey) external view returns (bool);
    /// @notice For how many L1 blocks the oldest entry that is not taken has been in the queue; 0 if there is none.
    function getSilence() external view returns (uint256 blocks);
}
