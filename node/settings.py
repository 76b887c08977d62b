"""Reads a TOML document into frozen dataclasses, strictly: the machinery under `config`.

Why: a configuration is a type. A key that nobody knows is a mistyped key, and a node that silently runs with
a default instead of what its operator meant is worse than one that does not start.

Rules kept here
- Unknown tables and keys, wrong types and values out of range are fatal, named with their dotted path.
- Every field is made by `setting`, which demands words: what it is, its unit, and what goes wrong when it is
  wrong. The words are data, so the reference page is generated from them and never stale.
- Numbers are integers, with the unit in the name's last part. There are no floats, no dates, no environment.

Refuses: defaults for what only the operator can know, interpolation, includes.
"""

import dataclasses
import tomllib
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from node.errors import ConfigError

_FILE_MAX_BYTES = 256 * 1024
_LIST_MAX = 64

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FieldDoc:
    """One documented setting, for the reference page. `default` is "" when the operator has to give it."""

    path: str
    kind: str
    default: str
    words: str


def setting(words: str, default: Any = MISSING, *, low: int | None = None, high: int | None = None) -> Any:
    """A dataclass field with its documentation and, for integers, its range. No default = required."""
    assert words, "every setting is documented"
    metadata = {"words": words, "low": low, "high": high}
    if isinstance(default, dict):
        return field(default_factory=dict, metadata=metadata)
    return field(default=default, metadata=metadata)


def section(cls: type[T], words: str) -> T:
    """A dataclass field that holds another dataclass of settings; all of its own fields have defaults."""
    made: T = field(default_factory=cls, metadata={"words": words})
    return made


def read_document(path: Path) -> dict[str, Any]:
    """Return the TOML document of a file of at most 256 KiB. Raises ConfigError E_CONFIG_UNREADABLE."""
    try:
        with path.open("rb") as file:
            data = file.read(_FILE_MAX_BYTES + 1)
        if len(data) > _FILE_MAX_BYTES:
            raise ConfigError("E_CONFIG_UNREADABLE", f"{path} is larger than {_FILE_MAX_BYTES} bytes")
        return tomllib.loads(data.decode("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError("E_CONFIG_UNREADABLE", f"cannot read {path}: {error}") from error


def build(cls: type[T], document: dict[str, Any], path: str = "", **fixed: Any) -> T:
    """Return an instance of the settings class `cls` from a TOML table; `fixed` sets fields that are no
    settings.

    Raises ConfigError: E_CONFIG_UNKNOWN_KEY, E_CONFIG_MISSING, E_CONFIG_TYPE, E_CONFIG_RANGE; the message
    names the dotted path below `path`.
    """
    hints = get_type_hints(cls)
    known = {f.name: f for f in dataclasses.fields(cls) if f.metadata}  # type: ignore[arg-type]
    unknown = sorted(set(document) - set(known))
    if unknown:
        raise ConfigError("E_CONFIG_UNKNOWN_KEY", f"no setting is called {_dotted(path, unknown[0])}")
    values: dict[str, Any] = dict(fixed)
    for name, spec in known.items():
        if name in document:
            values[name] = _value(hints[name], document[name], _dotted(path, name), spec.metadata)
        elif spec.default is MISSING and spec.default_factory is MISSING:
            words = spec.metadata["words"]
            raise ConfigError("E_CONFIG_MISSING", f"{_dotted(path, name)} is missing: {words}")
    return cls(**values)


def reference(cls: type, path: str = "") -> list[FieldDoc]:
    """Return every setting of `cls` and the sections below it, in declaration order."""
    hints = get_type_hints(cls)
    rows: list[FieldDoc] = []
    for spec in dataclasses.fields(cls):
        if not spec.metadata:
            continue
        name, hint, words = _dotted(path, spec.name), hints[spec.name], spec.metadata["words"]
        if dataclasses.is_dataclass(hint):
            assert isinstance(hint, type)
            rows += reference(hint, name)
        elif get_origin(hint) is dict:
            rows.append(FieldDoc(name, "table", "{}", words))
            rows += reference(get_args(hint)[1], f"{name}.NAME")
        else:
            default = "" if spec.default is MISSING else _spell(spec.default)
            kind = (
                "list of text"
                if get_origin(hint) is tuple
                else {"str": "text"}.get(hint.__name__, hint.__name__)
            )
            rows.append(FieldDoc(name, kind, default, words))
    return rows


def reference_table(cls: type) -> str:
    """Return the settings of `cls` as a Markdown table, for the reference page."""
    rows = ["| setting | kind | default | meaning |", "|---|---|---|---|"]
    for row in reference(cls):
        default = f"`{row.default}`" if row.default else "must be given"
        rows.append(f"| `{row.path}` | {row.kind} | {default} | {row.words} |")
    return "\n".join(rows) + "\n"


def _dotted(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _spell(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{item}"' for item in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def _value(hint: Any, value: Any, path: str, metadata: Any) -> Any:
    if dataclasses.is_dataclass(hint):
        return build(hint, _table(value, path), path)  # type: ignore[arg-type]
    if get_origin(hint) is dict:
        item = get_args(hint)[1]
        table = _table(value, path)
        if len(table) > _LIST_MAX:
            raise ConfigError("E_CONFIG_RANGE", f"{path} has more than {_LIST_MAX} entries")
        return {
            name: build(item, _table(entry, f"{path}.{name}"), f"{path}.{name}")
            for name, entry in table.items()
        }
    if get_origin(hint) is tuple:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ConfigError("E_CONFIG_TYPE", f"{path} must be a list of text")
        if len(value) > _LIST_MAX:
            raise ConfigError("E_CONFIG_RANGE", f"{path} has more than {_LIST_MAX} entries")
        return tuple(value)
    if type(value) is not hint:  # exact: a TOML boolean is not an integer here
        raise ConfigError("E_CONFIG_TYPE", f"{path} must be {hint.__name__}, not {type(value).__name__}")
    low, high = metadata.get("low"), metadata.get("high")
    if (low is not None and value < low) or (high is not None and value > high):
        raise ConfigError("E_CONFIG_RANGE", f"{path} is {value}, outside {low} to {high}")
    return value


def _table(value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError("E_CONFIG_TYPE", f"{path} must be a table")
    return value
