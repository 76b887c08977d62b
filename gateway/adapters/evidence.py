"""Writing evidence: what proves that somebody's signatures contradict each other, in files that outlive everything.

Why files: evidence goes to people and courts, and it must survive the database. Each case gets a folder of its own with
the reason in plain words and the signed bytes as received.

Rules kept here: files and folders are synced before anything relies on them; nothing is ever overwritten.
"""

import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path


def write_evidence(folder: Path, words: str, evidence: Mapping[str, bytes]) -> Path:
    """Write a case and return its folder; the same evidence twice is the same case, written once."""
    digest = sha256()
    for name in sorted(evidence):
        digest.update(name.encode("utf-8") + b"\x00" + sha256(evidence[name]).digest())
    case = folder / digest.hexdigest()[:16]
    if case.exists():
        return case
    staging = folder / f".{case.name}.new"
    staging.mkdir(parents=True, exist_ok=True)
    for name, data in {"reason.txt": (words + "\n").encode("utf-8"), **evidence}.items():
        assert "/" not in name, "evidence files lie flat in their case"
        with (staging / name).open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    _sync(staging)
    staging.rename(case)
    _sync(folder)
    return case


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
