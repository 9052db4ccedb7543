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

    /// @notice The inbox exists. Everything that a stranger needs to verify the rollup from its beginning: the preimage of the
    /// rollup id, the wallets' domain, and who may announce changes (zero: nobody, ever).
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
    /// @notice An action entered the queue, as its entry `index`, in L1 block `inclusionBlock`; `queueHash` covers the queue
    /// up to and with it. Rebuilding the rollup reads the payload from here.
    event ActionForced(
        uint256 indexed index, address indexed sender, uint256 inclusionBlock, bytes payload, bytes32 queueHash
    );
    /// @notice Blocks whose L1 origin has reached `effectiveBlock` (an L1 block number, as below) take this entry as voided.
    event ActionVoided(uint256 indexed index, uint256 effectiveBlock);
    /// @notice From L1 block `effectiveBlock` on, `quorum` of these verifiers must attest a batch.
    event VerifiersChanged(uint256 indexed effectiveBlock, address[] verifiers, uint256 quorum);
    /// @notice From L1 block `effectiveBlock` on, `builder` seals blocks and submits batches.
    event BuilderChanged(uint256 indexed effectiveBlock, address builder);
    /// @notice From L1 block `effectiveBlock` on, `owner` announces changes.
    event OwnerChanged(uint256 indexed effectiveBlock, address owner);

    /// @notice The genesis is meant for the L1 with chain id `found`; this one is `expected`.
    error WrongChain(uint256 expected, uint256 found);
    /// @notice The wallets' domain names another contract than the inbox (or zero).
    error WrongDomain(address expected, address found);
    /// @notice `quorum` of `count` verifiers: not more than half of them, more than all, more than 256, or the addresses do
    /// not ascend strictly from above zero. Two quorums always share a verifier, who signs one block hash a height.
    error BadQuorum(uint256 count, uint256 quorum);
    /// @notice The header is one of another rollup.
    error WrongRollupId(bytes32 expected, bytes32 found);
    /// @notice The batch does not continue the settled height: its blocks are `first` to `last`, and `settled + 1` to at
    /// most 2^64 - 1 is what fits.
    error HeightGap(uint256 settled, uint256 first, uint256 last);
    /// @notice The batch was built upon another block than the settled one, whose hash is `expected`.
    error WrongParent(bytes32 expected, bytes32 found);
    /// @notice The last block's time (seconds, as below) lies before the settled block's, `earliest`.
    error StaleTimestamp(uint256 earliest, uint256 found);
    /// @notice The block's time lies behind this L1 block's, `latest`. A genesis must have begun, too.
    error FutureTimestamp(uint256 latest, uint256 found);
    /// @notice The L1 origin (a block number) went back, is more than 14,400 blocks old, or is not below this L1 block.
    error BadOrigin(uint256 lowest, uint256 highest, uint256 found);
    /// @notice The attested data hash, `found`, is not that of the blobs or the calldata of this very transaction.
    error WrongData(bytes32 expected, bytes32 found);
    /// @notice A signature that is not 65 bytes with the low s and v 27 or 28, or that no key can have made: its other forms
    /// must not count beside it.
    error MalleableSignature(bytes signature);
    /// @notice Whoever signed this digest is no verifier now; so a signature over anything else recovers to a foreigner.
    error ForeignAttester(address attester);
    /// @notice One verifier's signature counts once.
    error DuplicateAttester(address attester);
    /// @notice All signatures are good, and they are fewer than the quorum.
    error TooFewAttestations(uint256 quorum, uint256 found);
    /// @notice A forced action's payload, in bytes.
    error PayloadTooLarge(uint256 limit, uint256 found);
    /// @notice The queue has only `length` entries (or is full, at 2^32 - 1).
    error UnknownEntry(uint256 length, uint256 found);
    /// @notice The batch stops at entry `found` of the queue although that entry was due at its L1 origin, and it took fewer
    /// than the 64 that one block may stop at; or it takes back what is settled.
    error ForcedSkipped(uint256 settled, uint256 found, uint256 l1Origin);
    /// @notice Entries were reordered, exchanged or invented: the queue's hash over as many entries is `expected`.
    error WrongForcedHash(bytes32 expected, bytes32 found);
    /// @notice The entry is voided from L1 block `effective` on; announcing it again would move that.
    error AlreadyVoided(uint256 index, uint256 effective);
    /// @notice Only the builder submits, until 7,200 L1 blocks have passed without a batch.
    error NotBuilder(address builder, address submitter);
    /// @notice Only the owner announces changes; a zero owner is nobody.
    error NotOwner(address owner, address caller);
    /// @notice A zero builder could seal no block.
    error ZeroBuilder();
    /// @notice A batch, in bytes of calldata, or as many as its blobs hold.
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

    /// @notice Announce, as the owner, that an entry of the queue is not executed by blocks whose L1 origin has reached
    /// `effectiveBlock`, 21,600 L1 blocks from now; so with the changes below.
    function void(uint256 index) external returns (uint256 effectiveBlock);
    /// @notice `verifiers` ascend strictly from above zero, at most 256; `quorum` is more than half of them.
    function changeVerifiers(address[] calldata verifiers, uint256 quorum) external returns (uint256 effectiveBlock);
    /// @notice Not zero.
    function changeBuilder(address builder) external returns (uint256 effectiveBlock);
    /// @notice Zero for nobody: then nothing can be announced any more once it is in force.
    function changeOwner(address owner) external returns (uint256 effectiveBlock);

    /// @notice `keccak256` of the genesis, as `Genesis` says.
    function rollupId() external view returns (bytes32);
    /// @notice Under which verifiers attest batches on the present chain: EIP-712's `{microrollup, 1, chain id, this}`.
    function domainSeparator() external view returns (bytes32);
    /// @notice L1 block in which the inbox was created: where a reader of its events begins.
    function createdAt() external view returns (uint256);
    /// @notice The last settled block, and when it was settled.
    function settled() external view returns (Settled memory);
    /// @notice Who may announce changes as of the present L1 block, as are the next two.
    function owner() external view returns (address);
    /// @notice Who seals blocks and submits batches.
    function builder() external view returns (address);
    /// @notice Who attests batches, ascending, and how many of them must.
    function verifiers() external view returns (address[] memory addresses, uint256 quorum);
    /// @notice How many actions were ever forced.
    function queueLength() external view returns (uint256);
    /// @notice The hash over the first `index` entries; zero for none.
    function queueHash(uint256 index) external view returns (bytes32);
    /// @notice The L1 block that included an entry, and the one from which it is voided (0: it is not).
    function entry(uint256 index) external view returns (uint256 inclusionBlock, uint256 voidedFrom);
}
