"""Two verifiers that share no code say the same about every file, and a change of one byte never passes as a proof.

The first is `tiezheng verify` (ledger/), the second scripts/second_verify.py. Both run as programs on files.
"""

import random
from collections import Counter
from pathlib import Path

import pytest
from receipt_world import Case, case
from verifiers import Verifiers

from scripts.second_verify import Receipt, read_receipt, read_trust_file

SEED = 20_261_125
CASES = 100
MUTANTS_PER_CASE = 100


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Verifiers:
    """The two programs."""
    return Verifiers(tmp_path, monkeypatch)


def mutant(rng: random.Random, data: bytes) -> bytes:
    """The data with one byte changed, by a flipped bit, another byte, or a byte more or less."""
    at = rng.randrange(len(data))
    kind = rng.randrange(8)
    if kind < 4:
        return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]
    if kind < 6:
        other = rng.choice(b"\x00\t\n\r +-/019=AZaz#\x7f\x80\xff")
        return data[:at] + bytes([other if other != data[at] else other ^ 1]) + data[at + 1 :]
    if kind == 6:
        return data[:at] + data[at + 1 :]
    return data[:at] + bytes([rng.choice([data[at], rng.randrange(256)])]) + data[at:]


def mutants(rng: random.Random, good: Case) -> tuple[bytes, bytes, str]:
    """A case with one byte changed in one of its three parts."""
    part = rng.choices(["receipt", "trust", "digest"], [70, 25, 5])[0]
    if part == "receipt":
        return mutant(rng, good.receipt), good.trust, good.digest
    if part == "trust":
        return good.receipt, mutant(rng, good.trust), good.digest
    return good.receipt, good.trust, mutant(rng, good.digest.encode()).decode("latin-1")


def counted_lines(receipt: Receipt, trust: bytes) -> set[tuple[str, bytes, bytes]]:
    """The signature lines of keys that the trust file knows."""
    known = read_trust_file(trust).keys
    return {line for line in receipt.signatures if line[:2] in known}


def require_untouched(good: Case, receipt: bytes, trust: bytes, digest: str) -> None:
    """An accepted change left the proof as it was: only lines that did not count, or the trust file's, differ."""
    before, after = read_receipt(good.receipt), read_receipt(receipt)
    assert after._replace(signatures=()) == before._replace(signatures=())
    assert counted_lines(after, trust) <= counted_lines(before, good.trust)
    assert bytes.fromhex(digest) == bytes.fromhex(good.digest)
    assert read_trust_file(trust).keys.items() <= read_trust_file(good.trust).keys.items()


def ask(both: Verifiers, cases: int, mutants_per_case: int) -> Counter[int]:
    """How often each exit code came; both programs gave the same one every time, and what passed is unchanged where
    it counts.
    """
    rng = random.Random(SEED)
    seen: Counter[int] = Counter()
    headers = 0
    for number in range(cases):
        good = case(rng)
        headers += good.with_header
        assert both.codes(good.receipt, good.trust, good.digest) == (0, 0), number
        for _ in range(mutants_per_case):
            changed = mutants(rng, good)
            first, second = both.codes(*changed)
            assert first == second, (number, first, second, changed)
            seen[first] += 1
            if first == 0:
                require_untouched(good, *changed)
    assert 0 < headers < cases
    return seen


def test_changes_of_one_byte(both: Verifiers) -> None:
    """A few hundred of the ten thousand."""
    assert ask(both, 8, 50).total() == 400


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_ten_thousand_changes_of_one_byte(both: Verifiers) -> None:
    """Both accept each right case; both give each changed one the same exit code; every code occurs."""
    seen = ask(both, CASES, MUTANTS_PER_CASE)
    assert seen.total() == 10_000
    assert set(seen) == {0, 2, 10, 11, 13}, seen
    assert seen[0] < seen[11] < seen.total() / 2, seen
