"""The gateway's own trust file: what makes a checkpoint or a receipt believable to us, before anybody else sees it.

Why our own copy: a key set learned from the nodes that it judges proves nothing. The file is the one that regulators and
courts hold; its fingerprint is shown by `GET /v1/meta`.

Rules kept here: everything a node sends goes through `ledger` and comes out verified or as UntrustedAnswerError; a receipt
must prove *our* stored leaf at *our* index. Refuses: fetching or refreshing the file.
"""

from pathlib import Path

from gateway.domain.finality import Checkpoint
from gateway.errors import ConfigError, UntrustedAnswerError
from ledger.errors import LedgerError
from ledger.receipt import verify_receipt
from ledger.record import COMMITMENT_AT, COMMITMENT_BYTES, LEAF_BYTES
from ledger.trust import TrustFile, parse_trust, verify_checkpoint


class FileTrust:
    """A loaded trust file (`ports.Trust`)."""

    def __init__(self, trust: TrustFile) -> None:
        """Keep the parsed file."""
        self._trust = trust

    @classmethod
    def load(cls, path: Path) -> "FileTrust":
        """Return the trust file at `path`. Raises ConfigError E_TRUST_FILE."""
        try:
            return cls(parse_trust(path.read_bytes()))
        except OSError as error:
            raise ConfigError("E_TRUST_FILE", f"cannot read {path}: {error.strerror}") from error
        except LedgerError as error:
            raise ConfigError("E_TRUST_FILE", f"{path} is no usable trust file: {error}") from error

    @property
    def chain_id(self) -> str:
        """See ports.Trust."""
        return self._trust.origin

    @property
    def fingerprint(self) -> str:
        """See ports.Trust."""
        return self._trust.fingerprint.hex()

    def checkpoint(self, note: bytes) -> Checkpoint:
        """See ports.Trust."""
        try:
            verified = verify_checkpoint(self._trust, note).checkpoint
        except LedgerError as error:
            raise UntrustedAnswerError(error.code, error.message) from error
        return Checkpoint(verified.size, verified.root, note)

    def receipt(self, receipt: bytes, leaf: bytes, index: int, *, with_header: bool) -> None:
        """See ports.Trust."""
        assert len(leaf) == LEAF_BYTES, "our own leaf"
        commitment = leaf[COMMITMENT_AT : COMMITMENT_AT + COMMITMENT_BYTES]
        try:
            verified = verify_receipt(receipt, self._trust, commitment)
        except LedgerError as error:
            raise UntrustedAnswerError(error.code, error.message) from error
        if verified.leaf != leaf or verified.index != index:
            raise UntrustedAnswerError(
                "E_RECEIPT_OTHER", "the receipt is of another record than the one asked for"
            )
        if (verified.block is not None) != with_header:
            raise UntrustedAnswerError("E_RECEIPT_HEADER", "the receipt's header part is not as asked for")
