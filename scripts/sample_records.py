"""The sample records that the package ships, turned into files and commitments for the development network.

Why: a first look needs something to look at. Each made-up interaction record becomes a file with its salt in the
network's `samples/` folder, and only the commitment is submitted: the same way `tiezheng submit FILE` goes, so the
receipt of a sample is checked with `tiezheng verify` and the file.

The records are invented; see scripts/samples/README.md.
"""

import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from scripts.opening import commitment_of, make_salt


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample: its file, and the item that `POST /v1/commitments` takes."""

    file: Path
    item: dict[str, Any]


def sample_records() -> list[dict[str, Any]]:
    """Return the shipped records in a fixed order."""
    folder = resources.files("scripts") / "samples"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".jsonl"))
    lines = [line for name in names for line in (folder / name).read_text(encoding="utf-8").splitlines()]
    return [json.loads(line) for line in lines if line]


def write_samples(folder: Path) -> list[Sample]:
    """Write every sample and its salt below `folder` (existing ones are kept) and return what to submit."""
    folder.mkdir(parents=True, exist_ok=True)
    samples = []
    for record in sample_records():
        file = folder / f"{record['record_id']}.json"
        if not file.exists():
            file.write_text(
                json.dumps(record, ensure_ascii=False, indent=1, sort_keys=True) + "\n", encoding="utf-8"
            )
        make_salt(file)
        item = {
            "ref": record["record_id"],
            "commitment": commitment_of(file, salted=True).hex(),
            "source": record["source_system"],
            "source_seq": record["source_seq"],
            "template": record["template_code"],
            "template_version": record["template_version"],
        }
        samples.append(Sample(file, item))
    return samples
