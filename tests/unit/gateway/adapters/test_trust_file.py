"""The gateway's own trust file."""

from pathlib import Path

import pytest
from gateway_chain import MemoryChain
from ledger_world import SUBMITTER, envelope

from gateway.adapters.trust_file import FileTrust
from gateway.errors import ConfigError, UntrustedAnswerError


@pytest.fixture
def chain() -> MemoryChain:
    """A chain with one block of three records, final."""
    made = MemoryChain()
    made.order([envelope(made.chain_id, 0, 3, SUBMITTER).raw])
    made.finalise()
    return made


@pytest.fixture
def trust(tmp_path: Path, chain: MemoryChain) -> FileTrust:
    """The chain's trust file, loaded."""
    (tmp_path / "policy.txt").write_bytes(chain.policy())
    return FileTrust.load(tmp_path / "policy.txt")


def test_a_checkpoint_with_the_quorum_is_believed(chain: MemoryChain, trust: FileTrust) -> None:
    """Size, root and the note as received come back."""
    assert trust.chain_id == chain.chain_id
    assert len(trust.fingerprint) == 64
    note = chain.note()
    checkpoint = trust.checkpoint(note)
    assert (checkpoint.size, checkpoint.root, checkpoint.note) == (
        chain.chain.tree_size,
        chain.chain.root,
        note,
    )


def test_a_checkpoint_without_the_quorum_is_not(chain: MemoryChain, trust: FileTrust) -> None:
    """Two institutions of four are not three; a changed byte, garbage, and another chain are nothing."""
    note = chain.note()
    for bad in (
        chain.note(signers=2),
        note[:-9] + b"A" + note[-8:],
        b"",
        b"\xff" * 50,
        note.replace(b"test", b"tent", 1),
    ):
        with pytest.raises(UntrustedAnswerError):
            trust.checkpoint(bad)


def test_a_receipt_must_be_of_our_leaf(chain: MemoryChain, trust: FileTrust) -> None:
    """Our leaf at our index, with a header exactly when asked for."""
    plain, full = chain.receipt(1, with_header=False), chain.receipt(1, with_header=True)
    trust.receipt(plain, chain.leaves[1], 1, with_header=False)
    trust.receipt(full, chain.leaves[1], 1, with_header=True)
    other_leaf = bytearray(chain.leaves[1])
    other_leaf[117] ^= 3  # same commitment, other template version
    for receipt, leaf, index, header in (
        (plain, chain.leaves[2], 1, False),
        (plain, chain.leaves[1], 2, False),
        (plain, bytes(other_leaf), 1, False),
        (plain, chain.leaves[1], 1, True),
        (full, chain.leaves[1], 1, False),
        (b"", chain.leaves[1], 1, False),
    ):
        with pytest.raises(UntrustedAnswerError):
            trust.receipt(receipt, leaf, index, with_header=header)


def test_a_missing_or_wrong_trust_file_stops_the_start(tmp_path: Path) -> None:
    """The gateway never runs without knowing whom to trust."""
    with pytest.raises(ConfigError, match="E_TRUST_FILE"):
        FileTrust.load(tmp_path / "none")
    (tmp_path / "policy.txt").write_text("quorum none\n")
    with pytest.raises(ConfigError, match="E_TRUST_FILE"):
        FileTrust.load(tmp_path / "policy.txt")
