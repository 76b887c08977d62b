r"""The head file: a second, independent memory of what this node has promised, outside the database.

Why: a database that lost its newest writes, or a folder replaced by an older copy, opens without complaint. A
node that then votes or signs breaks promises it has forgotten. So after every synced batch, and before any
message that depends on it, one small slot is written here; at the start the two memories are compared. When
they contradict each other the node has *amnesia*: it neither votes nor signs, ever again, under this node id.

Layout: 8,192 bytes, two slots of 4,096 (so that a torn sector spoils one of them only), written in turn, each
by one pwrite and one fdatasync. All numbers are big-endian, texts padded with zeros:

====== ===== ===============================================
offset bytes field
====== ===== ===============================================
0      8     ``TZHEAD1\n``
8      8     write number; its lowest bit names the slot
16     32    node id
48     16    instance, random, made once by `init`
64     8     batch counter of the chain store
72     8     term
80     32    vote (a node id; empty: none in this term)
112    8     last synced height
120    32    its entry hash
152    8     cosigned height
160    8     cosigned tree size (0: nothing was signed yet)
168    32    cosigned root
200    112   zeros
312    32    SHA-256 of bytes 0 to 311
344    3752  zeros
====== ===== ===============================================

Rules kept here:
- `init` creates the file; a start never does. A start that finds no readable slot has amnesia.
- The cosigned mark never falls. It is written here *before* the key is used.
- The first failed write ends the handle and, with it, the process.

Sources: the amnesia rules are those of docs/formats/storage.md; tigerbeetle's superblock and sunlight's lock
store have the same purpose.
Refuses: repair, guessing, and being asked whether "just this once" a node may vote.
"""

import os
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from pathlib import Path
from struct import Struct
from typing import Final

from ledger import names
from ledger.errors import StoreError, StoreFatalError

SLOT_STRIDE: Final = 4096
FILE_BYTES: Final = 2 * SLOT_STRIDE
MAGIC: Final = b"TZHEAD1\n"
INSTANCE_BYTES: Final = 16
NO_ROOT: Final = bytes(32)

_FIELDS: Final = Struct(">8sQ32s16sQQ32sQ32sQQ32s112x")
_CHECKED: Final = _FIELDS.size + 32


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """What one memory says of itself: written into every slot, and told by the chain store when it is opened.

    `instance` has 16 bytes and `last_hash`, the entry hash at `last_height`, 32. `vote` is "" for none.
    """

    node_id: str
    instance: bytes
    counter: int
    term: int
    vote: str
    last_height: int
    last_hash: bytes


@dataclass(frozen=True, slots=True)
class CosignMark:
    """The newest checkpoint this node has signed or was about to sign. `size` 0 means none yet."""

    height: int = 0
    size: int = 0
    root: bytes = NO_ROOT


@dataclass(frozen=True, slots=True)
class Slot:
    """One slot's content. `number` counts slot writes, the newest readable one is the file's word."""

    number: int
    facts: StoreFacts
    mark: CosignMark


class Standing(Enum):
    """What the comparison at a start says."""

    SOUND = "sound"
    AMNESIA = "amnesia"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A standing, the rule that decided (stable, for machines) and its words for the operator.

    `words` of anything but SOUND name the way out.
    """

    standing: Standing
    rule: str
    words: str

    @property
    def may_promise(self) -> bool:
        """Whether the node may vote, acknowledge and sign as far as its own disk can tell."""
        return self.standing is Standing.SOUND


_WAY_OUT: Final = (
    "This node will not vote and not sign. Do not copy files back and do not edit the head file: promises "
    "that were made and forgotten cannot be found again on this machine. Keep the folder for examination. "
    "The way back is a new node: `tiezheng init` with a node id that was never used, then a governance "
    "proposal that removes {node_id} and adds the new id"
)


def judge(slot: Slot | None, store: StoreFacts) -> Verdict:
    """Compare the head file's newest slot (None: no readable one) with the chain store, before any replay.

    Sound are: equal; and the store ahead, which a crash between the database's sync and the slot's write
    leaves. `judge_root` completes the comparison once the tree is known.
    """
    if slot is None:
        return _amnesia("no_slot", store.node_id, "the head file has no readable slot")
    head = slot.facts
    if (head.node_id, head.instance) != (store.node_id, store.instance):
        return Verdict(
            Standing.FOREIGN,
            "foreign",
            f"the head file belongs to {head.node_id} instance {head.instance.hex()}, the chain store to "
            f"{store.node_id} instance {store.instance.hex()}: two nodes' folders were mixed. Put the right "
            "head file beside the right store; neither is changed by this start",
        )
    if store.counter < head.counter:
        lost = head.counter - store.counter
        words = f"the chain store has lost its last {lost} batches, or is an older copy of itself"
        return _amnesia(
            "lower_counter", head.node_id, f"{words} (it is at {store.counter}, was at {head.counter})"
        )
    verdict = _judge_equal(head, store) if store.counter == head.counter else _judge_ahead(slot, store)
    if verdict.may_promise and slot.mark.height > store.last_height:
        words = (
            f"this node has signed height {slot.mark.height} and its chain store ends at {store.last_height}"
        )
        return _amnesia("root_missing", head.node_id, words)
    return verdict


def judge_root(slot: Slot, root: bytes | None) -> Verdict:
    """Judge the cosigned mark: `root` is this node's root at `slot.mark.size` after replay, None if it has
    none.
    """
    if slot.mark.size == 0 or root == slot.mark.root:
        return Verdict(
            Standing.SOUND, "root", "the tree agrees with the newest checkpoint this node has signed"
        )
    if root is None:
        words = f"this node has signed a tree of {slot.mark.size} leaves and no longer holds that many"
        return _amnesia("root_missing", slot.facts.node_id, words)
    words = f"this node has signed another root for {slot.mark.size} leaves than its own blocks now give"
    return _amnesia("root_differs", slot.facts.node_id, words)


def start_commit(slot: Slot, stored_commit: int) -> int:
    """Return the commit height to start from: nothing is signed that was not committed."""
    return max(stored_commit, slot.mark.height)


def _judge_equal(head: StoreFacts, store: StoreFacts) -> Verdict:
    for field in ("term", "vote", "last_height", "last_hash"):
        kept, found = getattr(head, field), getattr(store, field)
        if kept != found:
            kept, found = (x.hex() if isinstance(x, bytes) else x for x in (kept, found))
            words = f"the chain store is at batch {store.counter} with {field} {found!r}, but it was {kept!r}"
            return _amnesia(f"other_{field}", head.node_id, words)
    return Verdict(Standing.SOUND, "equal", "the chain store is exactly as the head file remembers it")


def _judge_ahead(slot: Slot, store: StoreFacts) -> Verdict:
    head = slot.facts
    ahead = store.counter - head.counter
    # Terms never fall and a vote is given once per term: a later store that says otherwise is another
    # history.
    if store.term < head.term or (store.term == head.term and head.vote not in ("", store.vote)):
        words = (
            f"the chain store is {ahead} batches ahead but has forgotten term {head.term}, vote {head.vote!r}"
        )
        return _amnesia("ahead_other_promise", head.node_id, words)
    if ahead == 1:
        words = "the chain store is one batch ahead: the process ended between the two writes"
        return Verdict(Standing.SOUND, "ahead", words)
    # The store holds every promise, so nothing is forgotten; but no single crash leaves this.
    words = (
        f"the chain store is {ahead} batches ahead: the head file is an older copy, or lost its newer slot"
    )
    return Verdict(Standing.SOUND, "ahead_more", words)


def _amnesia(rule: str, node_id: str, words: str) -> Verdict:
    return Verdict(Standing.AMNESIA, rule, f"amnesia: {words}. {_WAY_OUT.format(node_id=node_id)}")


def encode_slot(slot: Slot) -> bytes:
    """Return the 4,096 bytes of a slot."""
    facts, mark = slot.facts, slot.mark
    assert names.NODE_ID.fullmatch(facts.node_id), "a node id"
    assert facts.vote == "" or names.NODE_ID.fullmatch(facts.vote), "a node id, or no vote"
    assert len(facts.instance) == INSTANCE_BYTES, "an instance has 16 bytes"
    assert len(facts.last_hash) == len(mark.root) == 32, "hashes have 32 bytes"
    packed = _FIELDS.pack(
        MAGIC,
        slot.number,
        facts.node_id.encode(),
        facts.instance,
        facts.counter,
        facts.term,
        facts.vote.encode(),
        facts.last_height,
        facts.last_hash,
        mark.height,
        mark.size,
        mark.root,
    )
    return (packed + sha256(packed).digest()).ljust(SLOT_STRIDE, b"\x00")


def decode_slot(data: bytes) -> Slot | None:
    """Return the slot, or None if these bytes are not one, whatever the reason: a torn write is no error."""
    packed, checksum = data[: _FIELDS.size], data[_FIELDS.size : _CHECKED]
    if len(data) != SLOT_STRIDE or sha256(packed).digest() != checksum:
        return None
    magic, number, node_id, instance, counter, term, vote, height, last_hash, *mark = _FIELDS.unpack(packed)
    if magic != MAGIC:
        return None
    facts = StoreFacts(_name(node_id), instance, counter, term, _name(vote), height, last_hash)
    slot = Slot(number, facts, CosignMark(*mark))
    if not names.NODE_ID.fullmatch(facts.node_id) or not names.PROPOSER.fullmatch(facts.vote):
        return None
    return slot if encode_slot(slot) == data else None


def read_slot(path: Path) -> Slot | None:
    """Return the newest readable slot of the head file, or None if there is no file or no readable slot.

    Raises StoreError E_HEAD_READ if the disk itself refuses.
    """
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError("E_HEAD_READ", f"the head file {path} cannot be read: {error.strerror}") from error
    found = []
    for place in (0, 1):
        slot = decode_slot(data[place * SLOT_STRIDE : (place + 1) * SLOT_STRIDE])
        if slot is not None and slot.number & 1 == place:
            found.append(slot)
    return max(found, key=lambda slot: slot.number, default=None)


class HeadFile:
    """The open head file. One thread writes: the one that syncs the chain store.

    `newest` is what the file says; replaced only after its write was synced.
    """

    __slots__ = ("_dead", "_descriptor", "_path", "newest")

    def __init__(self, path: Path, descriptor: int, newest: Slot) -> None:
        self._path = path
        self._descriptor = descriptor
        self._dead = False
        self.newest = newest

    @classmethod
    def create(cls, path: Path, facts: StoreFacts) -> "HeadFile":
        """Make the head file of a new node. Only `init` calls this, and last, after the chain store was
        created.

        Raises StoreError E_HEAD_EXISTS if there is one already, E_HEAD_CREATE if the disk refuses.
        """
        newest = Slot(1, facts, CosignMark())
        both = encode_slot(Slot(0, facts, CosignMark())) + encode_slot(newest)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            _write_all(descriptor, both, 0)
            os.fsync(descriptor)
            folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except FileExistsError as error:
            raise StoreError("E_HEAD_EXISTS", f"{path} exists; a node's head file is made once") from error
        except OSError as error:
            raise StoreError("E_HEAD_CREATE", f"{path} cannot be made: {error.strerror}") from error
        return cls(path, descriptor, newest)

    @classmethod
    def open(cls, path: Path) -> "HeadFile":
        """Open the head file of a node whose `judge` was sound.

        Raises StoreError E_HEAD_UNREADABLE if no slot is readable, E_HEAD_READ.
        """
        newest = read_slot(path)
        if newest is None:
            raise StoreError(
                "E_HEAD_UNREADABLE", f"{path} has no readable slot; see the verdict of the start"
            )
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise StoreError("E_HEAD_READ", f"{path} cannot be opened: {error.strerror}") from error
        return cls(path, descriptor, newest)

    def write(self, facts: StoreFacts, mark: CosignMark | None = None) -> None:
        """Make `facts`, and `mark` if given, the file's word; on the disk when this returns. About 0.2 ms.

        Called after the chain store's sync and before any message that depends on it, and before a signature
        is made under a new mark. Raises StoreFatalError E_HEAD_WRITE if it did not surely happen.
        """
        kept = self.newest
        mark = kept.mark if mark is None else mark
        assert (facts.node_id, facts.instance) == (kept.facts.node_id, kept.facts.instance), (
            "one node per file"
        )
        assert facts.counter >= kept.facts.counter, "the batch counter never falls"
        assert facts.term >= kept.facts.term, "the term never falls"
        assert mark.size >= kept.mark.size, "the cosigned size never falls"
        assert mark.height >= kept.mark.height, "the cosigned height never falls"
        assert mark.size > kept.mark.size or mark.root == kept.mark.root, "one root per size"
        if self._dead:
            raise StoreFatalError("E_HEAD_WRITE", f"{self._path} was closed, or a write to it failed")
        slot = Slot(kept.number + 1, facts, mark)
        try:
            _write_all(self._descriptor, encode_slot(slot), (slot.number & 1) * SLOT_STRIDE)
            os.fdatasync(self._descriptor)
        except OSError as error:
            self._dead = True
            words = f"a write to {self._path} failed ({error.strerror}); this process must end"
            raise StoreFatalError("E_HEAD_WRITE", words) from error
        self.newest = slot

    def sign_mark(self, mark: CosignMark) -> None:
        """Persist a new cosigned mark alone, before the key is used. Raises like `write`."""
        self.write(self.newest.facts, mark)

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            self._dead = True


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    written = os.pwrite(descriptor, data, offset)
    if written != len(data):
        raise OSError(0, f"only {written} of {len(data)} bytes were taken")


def _name(padded: bytes) -> str:
    """Return a zero-padded ASCII text; what is none becomes text that no identifier matches."""
    return padded.rstrip(b"\x00").decode("ascii", "replace")
