"""Reads a TOML document into frozen dataclasses, strictly: the machinery under `config`.

Why: a configuration is a type. A key that nobody knows is a mistyped key, and a gateway that silently runs with a default
instead of what its operator meant is worse than one that does not start. (The node's room has the like; the two rooms
never import each other, and a shared room for a hundred lines would cost more than it saves.)

Rules kept here:
- Unknown tables and keys, wrong types and values out of range are fatal and named by their dotted path.
- Every field is made by `setting`, which demands words: what it is, its unit, what goes wrong when it is wrong. The
  reference page (docs/operating/gateway.md) is generated from them.
- Numbers are whole, with the unit in the name's last part. No floats, dates or environment variables.

Refuses: defaults for what only the operator can know, interpolation, includes.
"""

import dataclasses
import tomllib
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar, get_args, get_origin, get_type_hints

from gateway.errors import ConfigError

_FILE_MAX_BYTES: Final = 262_144
_ENTRIES_MAX: Final = 64

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FieldDoc:
    """One documented setting. `default` is "" when the operator has to give it."""

    path: str
    kind: str
    default: str
    words: str


def setting(words: str, default: Any = MISSING, *, low: int | None = None, high: int | None = None) -> Any:
    """Return a dataclass field with its documentation and, for whole numbers, its range. No default = required."""
    assert words, "every setting is documented"
    metadata = {"words": words, "low": low, "high": high}
    if default is MISSING:
        return field(metadata=metadata)
    return field(default=default, metadata=metadata)


def section(cls: type[T], words: str) -> T:
    """Return a dataclass field that holds a table of settings with defaults."""
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
    """Return an instance of a settings class from a TOML table; `fixed` sets fields that are no settings.

    Raises ConfigError E_CONFIG_UNKNOWN_KEY, E_CONFIG_MISSING, E_CONFIG_TYPE, E_CONFIG_RANGE with the dotted path.
    """
    hints = get_type_hints(cls)
    specs = {spec.name: spec for spec in dataclasses.fields(cls) if spec.metadata}  # type: ignore[arg-type]
    for name in sorted(set(document) - set(specs)):
        raise ConfigError("E_CONFIG_UNKNOWN_KEY", f"no setting is called {_dotted(path, name)}")
    values = dict(fixed)
    for name, spec in specs.items():
        where = _dotted(path, name)
        if name in document:
            values[name] = _read(hints[name], document[name], where, spec.metadata)
        elif spec.default is MISSING and spec.default_factory is MISSING:
            raise ConfigError("E_CONFIG_MISSING", f"{where} is missing: {spec.metadata['words']}")
    return cls(**values)


def reference(cls: type, path: str = "") -> list[FieldDoc]:
    """Return every setting of `cls` and of the tables below it, in declaration order."""
    hints = get_type_hints(cls)
    rows: list[FieldDoc] = []
    for spec in dataclasses.fields(cls):
        if not spec.metadata:
            continue
        hint, where, words = hints[spec.name], _dotted(path, spec.name), str(spec.metadata["words"])
        if get_origin(hint) is dict:
            rows.append(FieldDoc(f"{where}.ID", "table", "", words))
            rows += reference(get_args(hint)[1], f"{where}.ID")
        elif dataclasses.is_dataclass(hint):
            assert isinstance(hint, type)
            rows += reference(hint, where)
        else:
            default = "" if spec.default is MISSING else _spell(spec.default)
            rows.append(
                FieldDoc(
                    where, {"str": "text", "bool": "yes/no"}.get(hint.__name__, "number"), default, words
                )
            )
    return rows


def _read(hint: Any, value: Any, path: str, metadata: Any) -> Any:
    if get_origin(hint) is dict:
        table = _table(value, path)
        if not 1 <= len(table) <= _ENTRIES_MAX:
            raise ConfigError("E_CONFIG_RANGE", f"{path} has 1 to {_ENTRIES_MAX} entries")
        item = get_args(hint)[1]
        return {
            name: build(item, _table(entry, _dotted(path, name)), _dotted(path, name))
            for name, entry in table.items()
        }
    if dataclasses.is_dataclass(hint):
        return build(hint, _table(value, path), path)  # type: ignore[arg-type]
    if type(value) is not hint:  # exact: a TOML boolean is no number here
        raise ConfigError("E_CONFIG_TYPE", f"{path} must be {hint.__name__}, not {type(value).__name__}")
    low, high = metadata["low"], metadata["high"]
    if (low is not None and value < low) or (high is not None and value > high):
        raise ConfigError("E_CONFIG_RANGE", f"{path} is {value}, outside {low} to {high}")
    return value


def _table(value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError("E_CONFIG_TYPE", f"{path} must be a table")
    return value


def _dotted(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _spell(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else str(value)
