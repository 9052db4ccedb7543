// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title The inbox of one rollup on L1
/// @notice Takes batches of blocks in order, each attested by a quorum of verifiers who executed it again, and keeps the
/// queue of actions that users force. It sees the last header of a batch only; the rules are those of the Python module
/// `microrollup.settlement.inbox`, and every error has the name and the arguments that it has there.
interface IRollupInbox {
    /// @notice The preimage of the rollup id: `keccak256(abi.encode(name, l1ChainId, genesisTime, stateRoot,
    /// metadataRoot, builder, keccak256(abi.encode(verifiers)), quorum, l1Start, salt))`.
    struct Genesis {
        string name;
        uint256 l1ChainId;
        uint256 genesisTime;
        bytes32 stateRoot;
        bytes32 metadataRoot;
        address builder;
        address[] verifiers;
        uint256 quorum;
        uint256 l1Start;
        bytes32 salt;
    }

    /// @notice The EIP-712 domain under which wallets sign the rollup's actions. The inbox only carries it.
    struct Domain {
        string name;
        string version;
        uint256 chainId;
        address verifyingContract;
    }

    /// @notice The fourteen words whose `keccak256(abi.encode(header))` is the block hash.
    struct Header {
        bytes32 rollupId;
        uint256 height;
        bytes32 parentHash;
        uint256 timestamp;
        bytes32 stfId;
        uint256 l1Origin;
        uint256 forcedCount;
        bytes32 forcedHash;
        uint256 firstSeq;
        uint256 actionCount;
        bytes32 actionsRoot;
        bytes32 receiptsRoot;
        bytes32 stateRoot;
        bytes32 metadataRoot;
    }

    /// @notice What the attestations say beside the words of the last header. The inbox compares all three with what it
    /// knows, so that the error names what is wrong.
    struct Claim {
        uint256 firstHeight;
        bytes32 parentHash;
        bytes32 dataHash;
    }

    /// @notice The last settled block; at first, the genesis.
    struct Settled {
        uint256 height;
        bytes32 blockHash;
        bytes32 stateRoot;
        uint256 timestamp;
        uint256 forcedCount;
        uint256 l1Origin;
        uint256 l1Number;
        uint256 l1Time;
    }

    event RollupCreated(
        bytes32 indexed rollupId, bytes32 indexed genesisHash, Genesis genesis, Domain domain, address owner
    );
    /// @notice All that a reader of L1 needs beside the data: the header's hash is the block hash that was attested.
    /// `inBlobs` says where the data are: in the transaction's blobs, or in its calldata.
    event BatchSettled(
        uint256 indexed firstHeight,
        uint256 indexed lastHeight,
        address indexed submitter,
        bytes32 dataHash,
        bool inBlobs,
        Header header,
        bytes signatures
    );
    event ActionForced(
        uint256 indexed index, address indexed sender, uint256 inclusionBlock, bytes payload, bytes32 queueHash
    );
    event ActionVoided(uint256 indexed index, uint256 effectiveBlock);
    event VerifiersChanged(uint256 indexed effectiveBlock, address[] verifiers, uint256 quorum);
    event BuilderChanged(uint256 indexed effectiveBlock, address builder);
    event OwnerChanged(uint256 indexed effectiveBlock, address owner);

    error WrongChain(uint256 expected, uint256 found);
    /// @notice The wallets' domain names another contract than the inbox (or zero).
    error WrongDomain(address expected, address found);
    error BadQuorum(uint256 count, uint256 quorum);
    error WrongRollupId(bytes32 expected, bytes32 found);
    error HeightGap(uint256 settled, uint256 first, uint256 last);
    error WrongParent(bytes32 expected, bytes32 found);
    error StaleTimestamp(uint256 earliest, uint256 found);
    error FutureTimestamp(uint256 latest, uint256 found);
    error BadOrigin(uint256 lowest, uint256 highest, uint256 found);
    error WrongData(bytes32 expected, bytes32 found);
    error MalleableSignature(bytes signature);
    error ForeignAttester(address attester);
    error DuplicateAttester(address attester);
    error TooFewAttestations(uint256 quorum, uint256 found);
    error PayloadTooLarge(uint256 limit, uint256 found);
    error UnknownEntry(uint256 length, uint256 found);
    error ForcedSkipped(uint256 settled, uint256 found, uint256 l1Origin);
    error WrongForcedHash(bytes32 expected, bytes32 found);
    error AlreadyVoided(uint256 index, uint256 effective);
    error NotBuilder(address builder, address submitter);
    error NotOwner(address owner, address caller);
    error ZeroBuilder();
    error BatchTooLarge(uint256 limit, uint256 found);
    /// @notice `settleBlobs` was called by a transaction without blobs.
    error NoBlobs();
    /// @notice `settleCalldata` must be called by a transaction itself (no contract, no EIP-7702 code between), so that
    /// whoever reads L1 finds the batch in the transaction's input.
    error NotTopLevel(address caller);

    /// @notice Settle the batch that the transaction's blobs hold (EIP-4844): `dataHash` is
    /// `keccak256(0x02 || versioned hashes)`. `signatures` are `r || s || v` of 65 bytes each, in any order.
    function settleBlobs(Header calldata header, Claim calldata claim, bytes calldata signatures) external;

    /// @notice Settle a batch that stands in the calldata: `dataHash` is `keccak256(0x01 || batch)`.
    function settleCalldata(
        Header calldata header,
        Claim calldata claim,
        bytes calldata signatures,
        bytes calldata batch
    ) external;

    /// @notice Append an action to the queue in the name of `msg.sender`; at most 4,096 bytes.
    function force(bytes calldata payload) external returns (uint256 index);

    /// @notice Announce what takes effect 21,600 L1 blocks later. The owner only.
    function void(uint256 index) external returns (uint256 effectiveBlock);
    function changeVerifiers(address[] calldata verifiers, uint256 quorum) external returns (uint256 effectiveBlock);
    function changeBuilder(address builder) external returns (uint256 effectiveBlock);
    function changeOwner(address owner) external returns (uint256 effectiveBlock);

    function rollupId() external view returns (bytes32);
    function domainSeparator() external view returns (bytes32);
    /// @notice L1 block in which the inbox was created: where a reader of its events begins.
    function createdAt() external view returns (uint256);
    function settled() external view returns (Settled memory);
    /// @notice As of the present block.
    function owner() external view returns (address);
    function builder() external view returns (address);
    function verifiers() external view returns (address[] memory addresses, uint256 quorum);
    function queueLength() external view returns (uint256);
    /// @notice The hash over the first `index` entries; zero for none.
    function queueHash(uint256 index) external view returns (bytes32);
    /// @notice The L1 block that included an entry, and the one from which it is voided (0: it is not).
    function entry(uint256 index) external view returns (uint256 inclusionBlock, uint256 voidedFrom);
}
