"""Made-up records for tests of the gateway, as the intake takes them."""

from collections.abc import Sequence
from hashlib import sha256

from gateway.domain.record import NewRecords
from gateway.ports import Intake
from ledger.record import encode_leaves


def commitment(number: int) -> bytes:
    """Return the commitment of record `number`."""
    return sha256(b"record %d" % number).digest()


def records_of(
    numbers: Sequence[int], *, refs: Sequence[str] | None = None, source: str = "PUSH.SMS"
) -> NewRecords:
    """Return checked columns of these records; the reference of record n is ``R-n`` unless told."""
    return NewRecords(
        refs=list(refs or [f"R-{number}" for number in numbers]),
        commitments=[commitment(number) for number in numbers],
        sources=[source] * len(numbers),
        source_seqs=list(numbers),
        templates=["SMS-NTC-01"] * len(numbers),
        template_versions=[1] * len(numbers),
    )


def intake_of(
    numbers: Sequence[int], *, refs: Sequence[str] | None = None, source: str = "PUSH.SMS"
) -> Intake:
    """Return the same as an intake of institution BROKER."""
    records = records_of(numbers, refs=refs, source=source)
    leaves = encode_leaves(
        "BROKER",
        commitments=records.commitments,
        sources=records.sources,
        source_seqs=records.source_seqs,
        templates=records.templates,
        template_versions=records.template_versions,
    )
    return Intake(records.refs, records.sources, leaves)
