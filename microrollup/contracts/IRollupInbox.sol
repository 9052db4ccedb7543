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

    /// @notice The EIP-712 domain under which wallets sign the rollup's actions. The inbox only carries it. For the constructor a
    /// `verifyingContract` of `0xff…ff` means the inbox itself, whose address depends on what it is created with.
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

    /// @notice Who attests batches. `kind` 0: `members` are the addresses of secp256k1 keys, ascending strictly from above zero, at most
    /// 256. `kind` 1: they are pages that `registerKeys` made, at most 512 BLS12-381 keys in all, ascending over all pages. Its identity
    /// is `keccak256(abi.encode(kind, members, quorum, rules))`.
    struct VerifierSet {
        uint8 kind;
        address[] members;
        uint256 quorum;
        Rule[] rules;
    }

    /// @notice What a proof by an `IBatchVerifier` is for a set. `kind` 0: it counts as `weight` verifiers, fewer than the quorum.
    /// `kind` 1: every batch must bring it, and it counts nothing (`weight` 0).
    struct Rule {
        uint8 kind;
        address verifier;
        uint256 weight;
    }

    /// @notice A proof for the rule with an index.
    struct Proof {
        uint8 rule;
        bytes proof;
    }

    /// @notice What can be cancelled before it takes effect. A change of the owner cannot: a thief of the owner's key would
    /// stop the rescue.
    enum Announcement {
        Verifiers,
        Builder,
        Code
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
    /// rollup id, the wallets' domain with the contract that it means, who may announce changes (zero: nobody, ever), and
    /// which code executes.
    event RollupCreated(
        bytes32 indexed rollupId,
        bytes32 indexed genesisHash,
        Genesis genesis,
        Domain domain,
        address owner,
        bytes32 stfId
    );
    /// @notice All that a reader of L1 needs beside the data: the header's hash is the block hash that was attested.
    /// `inBlobs` says where the data is: in the transaction's blobs, or in its calldata.
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
    /// @notice From L1 block `effectiveBlock` on, this set must attest a batch; `id` is its identity.
    event VerifiersChanged(uint256 indexed effectiveBlock, bytes32 indexed id, VerifierSet set);
    /// @notice These BLS keys, 192 bytes each, can be named by their page.
    event KeysRegistered(address indexed page, bytes keys);
    /// @notice From L1 block `effectiveBlock` on, `builder` seals blocks and submits batches.
    event BuilderChanged(uint256 indexed effectiveBlock, address builder);
    /// @notice Blocks whose L1 origin has reached `effectiveBlock` are to be executed by this code.
    event CodeAnnounced(uint256 indexed effectiveBlock, bytes32 stfId);
    /// @notice From L1 block `effectiveBlock` on, `owner` announces changes.
    event OwnerChanged(uint256 indexed effectiveBlock, address owner);
    /// @notice What was announced for L1 block `effectiveBlock` does not come into force.
    event AnnouncementCancelled(Announcement indexed kind, uint256 effectiveBlock);
    /// @notice The entry is not voided at L1 block `effectiveBlock`.
    event VoidCancelled(uint256 indexed index, uint256 effectiveBlock);

    /// @notice The genesis is meant for the L1 with chain id `found`; this one is `expected`.
    error WrongChain(uint256 expected, uint256 found);
    /// @notice The wallets' domain names another contract than the inbox (or `0xff…ff` for it, or zero for none).
    error WrongDomain(address expected, address found);
    /// @notice `quorum` of `count` verifiers (with the weights of proofs): not more than half of them, more than all, more than 256
    /// (512 BLS keys), the addresses do not ascend strictly from above zero, or nor do those of the rules, or one of at most four
    /// rules has a weight that it cannot have. Two quorums always share a verifier, who signs one block hash a height.
    error BadQuorum(uint256 count, uint256 quorum);
    /// @notice A number of the header, its word `word` counted from 0, is not below 2^64: no reader could take the event.
    error HeaderOutOfRange(uint256 word);
    /// @notice The header is one of another rollup.
    error WrongRollupId(bytes32 expected, bytes32 found);
    /// @notice The header names neither the settled block's code nor `expected`, which is in force at its L1 origin.
    error WrongStfId(bytes32 expected, bytes32 found);
    /// @notice The batch does not continue the settled height: its blocks are `first` to `last`, and `settled + 1` and more
    /// is what fits.
    error HeightGap(uint256 settled, uint256 first, uint256 last);
    /// @notice The batch was built upon another block than the settled one, whose hash is `expected`.
    error WrongParent(bytes32 expected, bytes32 found);
    /// @notice The last block's time (seconds, as below) lies before the settled block's, `earliest`.
    error StaleTimestamp(uint256 earliest, uint256 found);
    /// @notice The block's time is later than this L1 block's, `latest`. A genesis must have begun, too.
    error FutureTimestamp(uint256 latest, uint256 found);
    /// @notice The L1 origin (a block number) went back, is more than 14,400 blocks old, or is not below this L1 block.
    error BadOrigin(uint256 lowest, uint256 highest, uint256 found);
    /// @notice The attested data hash, `found`, is not that of the blobs or the calldata of this very transaction.
    error WrongData(bytes32 expected, bytes32 found);
    /// @notice A signature that is not 65 bytes with the low s and v 27 or 28, or that no key can have made: its other forms
    /// must not count beside it.
    error MalleableSignature(bytes signature);
    /// @notice The signer of this digest is not a verifier now; so a signature over anything else recovers to a foreigner.
    error ForeignAttester(address attester);
    /// @notice One verifier's signature counts once.
    error DuplicateAttester(address attester);
    /// @notice `signatures` begins with `found`, and the set's begin with `expected`: 0 ECDSA, 1 BLS, 2 proofs with either of them; 255
    /// stands for no byte at all.
    error WrongKind(uint256 expected, uint256 found);
    /// @notice Kind 2 is exactly `abi.encode(bytes signatures, Proof[] proofs)`.
    error WrongEncoding();
    /// @notice Kind 1 is a signature of 128 bytes and a bit for each verifier.
    error WrongAggregateLength(uint256 expected, uint256 found);
    /// @notice A bit is set for a verifier above `count`.
    error BadBitmap(uint256 count, bytes bitmap);
    /// @notice The `present` verifiers did not make this aggregate signature.
    error WrongAggregate(uint256 present);
    /// @notice The verifier of this rule says no to the proof, or a proof that is required is missing.
    error RuleUnmet(uint256 rule, address verifier);
    /// @notice The set has no rule with this index, or proofs are not in the order of the rules.
    error UnknownRule(uint256 rule);
    /// @notice A proof's verifier is called with all the gas that it may use.
    error TooLittleGas(uint256 needed, uint256 found);
    /// @notice 1 to 64 keys of 192 bytes come with as many proofs of 128 bytes; found so many bytes of both.
    error WrongKeysLength(uint256 keys, uint256 proofs);
    /// @notice The key with this index is infinity, not above the one before it, no point of the subgroup in its one encoding, or its
    /// proof of possession is wrong.
    error BadKey(uint256 index);
    /// @notice `registerKeys` did not make this page, or its keys are not above those of the page before.
    error UnknownPage(address page);
    /// @notice A proof is required, or will be, and without an owner nobody could take that back.
    error NeedsOwner();
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
    /// @notice There is nothing announced to cancel, of this kind (its number) or for this entry (its index).
    error NothingPending(uint256 what);
    /// @notice What takes effect within 300 blocks of L1 block `number` cannot be cancelled any more.
    error CancelledTooLate(uint256 effective, uint256 number);
    /// @notice Only the builder submits, until 7,200 L1 blocks have passed without a batch.
    error NotBuilder(address builder, address submitter);
    /// @notice Only the owner announces changes; a zero owner is nobody.
    error NotOwner(address owner, address caller);
    /// @notice A zero builder could seal no block.
    error ZeroBuilder();
    /// @notice The genesis names no builder: the rollup is based for ever. It has no builder, no voids, and no data but the
    /// queue's events.
    error Based();
    /// @notice No code has the id zero.
    error ZeroCode();
    /// @notice A batch, in bytes of calldata, or as many as its blobs hold.
    error BatchTooLarge(uint256 limit, uint256 found);
    /// @notice `settleBlobs` was called by a transaction without blobs.
    error NoBlobs();
    /// @notice `settleCalldata` must be called by a transaction itself (no contract, no EIP-7702 code between), so that
    /// readers of L1 find the batch in the transaction's input.
    error NotTopLevel(address caller);

    /// @notice Settle the batch that the transaction's blobs hold (EIP-4844): `dataHash` is
    /// `keccak256(0x02 || versioned hashes)`. `signatures` is a byte that says what follows, by the set of verifiers:
    /// `0x00 || r || s || v ...`, 65 bytes for each verifier, in any order;
    /// `0x01 || signature || absent`, the sum of all verifiers' signatures but those whose bit is set in `absent`: 128 bytes, a point of
    /// G1 as in EIP-2537, and a bit for each key, key i being the bit `1 << (i % 8)` of byte `i / 8`;
    /// `0x02 || abi.encode(bytes signatures, Proof[] proofs)`, one of the two above, and proofs in the order of the set's rules.
    function settleBlobs(Header calldata header, Claim calldata claim, bytes calldata signatures) external;

    /// @notice Settle a batch that is in the calldata: `dataHash` is `keccak256(0x01 || batch)`. Of a based rollup anybody
    /// settles, `batch` is empty and `dataHash` is `keccak256(0x04)`: all data is in the queue's events.
    function settleCalldata(
        Header calldata header,
        Claim calldata claim,
        bytes calldata signatures,
        bytes calldata batch
    ) external;

    /// @notice Append to the queue what the rollup's blocks must then begin with; at most 8,192 bytes:
    /// `0x00 || abi.encode(typeHash, members...)`, an action of `msg.sender`, `typeHash` being `keccak256` of its EIP-712
    /// type, the members without the nonce;
    /// `0x01 || record`, a signed action that anybody carries, `record` being canonical msgpack `[type, [members...], nonce,
    /// signature]`: the signer is its sender, and the nonce must be the next;
    /// `0x02 || length of the name, 1 byte || name || bytes`, what comes in an envelope of the app's own;
    /// `0x03 || array of records`, at most 5,000 bytes, many signed actions that anybody carries.
    /// Nothing of it is checked here: what does not decode takes its place in the queue and does nothing.
    function force(bytes calldata payload) external returns (uint256 index);

    /// @notice The same for each of these, in order; the place of the first one in the queue.
    function forceMany(bytes[] calldata payloads) external returns (uint256 index);

    /// @notice Announce, as the owner, that an entry of the queue is not executed by blocks whose L1 origin has reached
    /// `effectiveBlock`: 21,600 L1 blocks from now, and at least 43,200 after its inclusion. The void does not count if another owner
    /// takes office after this announcement and up to its effect; then the entry may be voided again.
    ///
    /// What follows takes effect 21,600 blocks from now, but for what an owner announces who is leaving: once another owner
    /// is announced for block E, nothing that would take effect from E to before E + 21,600 ever does. So a key that was
    /// stolen, or handed over, decides nothing in its successor's time; and of several owners announced, the first comes.
    function void(uint256 index) external returns (uint256 effectiveBlock);
    /// @notice The quorum is more than half of the verifiers and of the weights of proofs together.
    function changeVerifiers(VerifierSet calldata set) external returns (uint256 effectiveBlock);
    /// @notice Keep a page of BLS keys for `changeVerifiers`; anybody may. 1 to 64 keys, ascending, each 192 bytes: EIP-2537's coordinates
    /// of a point of G2 without their padding. Each has a proof of possession, 128 bytes: the key's signature over its own 96 compressed
    /// bytes.
    function registerKeys(bytes calldata keys, bytes calldata proofs) external returns (address page);
    /// @notice Not zero.
    function changeBuilder(address builder) external returns (uint256 effectiveBlock);
    /// @notice Not zero. A block whose L1 origin has reached `effectiveBlock` begins with the upgrade; see `codeAt`.
    function announceCode(bytes32 stfId) external returns (uint256 effectiveBlock);
    /// @notice Zero for nobody: then nothing can be announced any more once it is in force. Not while a proof is required.
    function changeOwner(address owner) external returns (uint256 effectiveBlock);
    /// @notice Take back, as the owner, the newest announcement of a kind that has not taken effect, and does not within 300
    /// blocks. Gives the block for which it was announced.
    function cancel(Announcement kind) external returns (uint256 effectiveBlock);
    /// @notice The same for the void of an entry, which may be announced again.
    function cancelVoid(uint256 index) external returns (uint256 effectiveBlock);

    /// @notice `keccak256` of the genesis, as `Genesis` says.
    function rollupId() external view returns (bytes32);
    /// @notice Under which verifiers attest batches on the present chain: EIP-712's `{microrollup, 1, chain id, this}`.
    function domainSeparator() external view returns (bytes32);
    /// @notice L1 block in which the inbox was created: where a reader of its events begins.
    function createdAt() external view returns (uint256);
    /// @notice The last settled block, and when it was settled.
    function settled() external view returns (Settled memory);
    /// @notice The code that the inbox was created with.
    function stfId() external view returns (bytes32);
    /// @notice The code that is announced for blocks with this L1 origin. A header names it, or the settled block's code
    /// where an upgrade to it has not happened.
    function codeAt(uint256 number) external view returns (bytes32);
    /// @notice Who may announce changes as of the present L1 block, as are the next two.
    function owner() external view returns (address);
    /// @notice Who seals blocks and submits batches.
    function builder() external view returns (address);
    /// @notice Who attests batches.
    function verifiers() external view returns (VerifierSet memory set);
    /// @notice How many actions were ever forced.
    function queueLength() external view returns (uint256);
    /// @notice The hash over the first `index` entries; zero for none.
    function queueHash(uint256 index) external view returns (bytes32);
    /// @notice The L1 block that included an entry, and the one from which it is voided (0: it is not).
    function entry(uint256 index) external view returns (uint256 inclusionBlock, uint256 voidedFrom);
}
