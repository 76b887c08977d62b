"""The public halves of keys as files that people hand over and compare.

Why: joining a network is an exchange of small readable files and of their fingerprints over another way (telephone,
paper); no secret is ever part of it.

Refuses: anything secret; writing over a file.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from node.keys import SigningKey
from scripts.exit_codes import CommandError, Exit


def key_document(key: SigningKey) -> dict[str, str]:
    """Return the public half of a key: its id and 64 hex digits."""
    return {"id": key.key_id, "public": key.public.hex()}


def write_public(path: Path, schema: str, document: dict[str, Any]) -> str:
    """Write a public file and return its SHA-256 (hex), to be compared over another way."""
    data = (json.dumps({"schema": schema, **document}, ensure_ascii=False, indent=2) + "\n").encode()
    try:
        with path.open("xb") as out:
            out.write(data)
    except OSError as error:
        exit_code = Exit.CONFLICT if isinstance(error, FileExistsError) else Exit.FAILURE
        raise CommandError(exit_code, f"{path} cannot be written: {error.strerror}") from error
    return hashlib.sha256(data).hexdigest()
