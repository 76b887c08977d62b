"""Where consensus meets the ledger: payloads are bodies, entry hashes are the ledger's, checks are the
chain's rules.

Why: consensus knows nothing of blocks and the ledger nothing of Raft. This is all that each needs to be told
of the other, without a clock, a disk or a socket, so that the simulator can run it as it is.

Rules kept here
- A payload is a canonical body, or consensus hears a refusal code. Its hash is computed here, from a previous
  hash that this node holds.
- What a follower checks before it acknowledges is what the leader checks before it proposes and what every
  node checks when it applies: `ledger.chain.verify_body`. A body verified here under the state that still
  rules when it is applied is not verified twice.
- Empty entries are judged without any governance state: a term's first entry may stand behind a change that
  is not applied. The clock is judged by consensus alone.

Refuses: deciding what goes into a block (`intake`), and applying (`applier`).
"""

from collections import OrderedDict

from consensus.errors import PayloadError
from consensus.types import Entry, EntryKind
from ledger.body import Body, BodyKind, EmptyReason, encode_empty_body, parse_body
from ledger.chain import Chain, VerifiedBody, verify_body
from ledger.entry import entry_hash
from ledger.errors import LedgerError
from ledger.store_chain import StoredEntry

_REMEMBERED_MAX_BYTES = 64 * 1024 * 1024

_KINDS = {
    BodyKind.ENVELOPES: EntryKind.NORMAL,
    BodyKind.GOVERNANCE: EntryKind.GOVERNANCE,
    BodyKind.EMPTY: EntryKind.EMPTY,
    BodyKind.GENESIS: EntryKind.EMPTY,
}


class LedgerHost:
    """Implements `consensus.types.Host`. Reads `chain`, which the applier advances; both live on one thread.

    Bodies that were parsed, and perhaps verified, are remembered until they are applied, up to a number of
    bytes; what was forgotten is parsed again.
    """

    def __init__(self, node_id: str, chain: Chain) -> None:
        """`node_id` signs the bodies that are built here."""
        self._node_id = node_id
        self._chain = chain
        self._bodies: OrderedDict[bytes, Body | VerifiedBody] = OrderedDict()  # by entry hash
        self._bytes = 0

    def entry(self, prev_hash: bytes, index: int, term: int, payload: bytes) -> Entry:
        """The entry that `payload` makes behind `prev_hash`. Raises PayloadError with the ledger's code."""
        try:
            body = parse_body(payload)
        except LedgerError as error:
            raise PayloadError(error.code, error.message) from error
        if (body.kind is BodyKind.GENESIS) != (index == 0):
            raise PayloadError("E_CHAIN_GENESIS", f"entry {index}")
        own_hash = entry_hash(self._chain.chain_id, prev_hash, index, term, body.digest)
        self._remember(own_hash, body)
        return Entry(index, term, _KINDS[body.kind], body.timestamp_ms, payload, own_hash)

    def stored(self, stored: StoredEntry) -> Entry:
        """The entry in the store, whose hash the store has just computed again."""
        body = parse_body(stored.body_raw)
        if stored.height > self._chain.height:
            self._remember(stored.entry_hash, body)
        kind = _KINDS[body.kind]
        return Entry(stored.height, stored.term, kind, body.timestamp_ms, stored.body_raw, stored.entry_hash)

    def check(self, entry: Entry, proposer: str | None) -> str | None:
        """Judge a body before it is stored: None, or a refusal code. See `consensus.types.Host`."""
        body = self._recall(entry)
        if proposer is not None and body.proposer != proposer:
            return "E_BODY_NOT_PROPOSERS"
        if body.kind is BodyKind.EMPTY:
            return None
        try:
            verified = verify_body(self._chain.state, entry.index, 0, body)
        except LedgerError as error:
            return error.code
        self._remember(entry.hash, verified)
        return None

    def empty(self, stamp_ms: int, *, new_term: bool) -> bytes:
        """An empty body of this node."""
        reason = EmptyReason.NEW_TERM if new_term else EmptyReason.NEW_ERA
        return encode_empty_body(self._node_id, stamp_ms, reason)

    def take(self, entry: Entry) -> Body | VerifiedBody:
        """The body of an entry that is about to be applied, verified if it has been; it is forgotten here."""
        found = self._bodies.pop(entry.hash, None)
        if found is None:
            return parse_body(entry.payload)
        self._bytes -= len(entry.payload)
        return found

    def _recall(self, entry: Entry) -> Body:
        found = self._bodies.get(entry.hash)
        if found is None:
            return parse_body(entry.payload)
        return found.body if isinstance(found, VerifiedBody) else found

    def _remember(self, own_hash: bytes, body: Body | VerifiedBody) -> None:
        if own_hash not in self._bodies:
            self._bytes += len(_raw(body))
        elif isinstance(self._bodies[own_hash], VerifiedBody) and isinstance(body, Body):
            return  # the same bytes came again; what is known of them stays
        self._bodies[own_hash] = body
        while self._bytes > _REMEMBERED_MAX_BYTES and len(self._bodies) > 1:
            _, oldest = self._bodies.popitem(last=False)
            self._bytes -= len(_raw(oldest))


def _raw(body: Body | VerifiedBody) -> bytes:
    return body.body.raw if isinstance(body, VerifiedBody) else body.raw
