"""JSON on its way into the database: what PostgreSQL, or the worker of another language, cannot read
is refused here, step by step, so that one result does not hold up those recorded with it."""

from __future__ import annotations

import json
import re
from typing import Any

from tasker_worker.outcome import Failure

# Deepest nesting. Readers stop at 128, and they meet a result inside of other objects.
MAX_DEPTH = 100
MAX_KIND_BYTES = 128
MAX_MESSAGE_BYTES = 16 * 1024
MAX_DETAILS_BYTES = 64 * 1024

_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_LONG_NUMBER = re.compile(r"\d{309}")
_LARGEST = 1.7976931348623157e308


class Unstorable(Exception):
    """A value that cannot be a result; ``kind`` is that of the step's error."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


def encode(value: Any, max_bytes: int) -> str:
    """The JSON text of a value that can be stored; raises `Unstorable` for any other."""
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        size = len(text.encode())
    except RecursionError:
        raise Unstorable("invalid_result", "it is nested too deeply, or holds itself") from None
    except UnicodeEncodeError:
        raise Unstorable("invalid_result", "it holds text that is not Unicode") from None
    except Exception as error:
        raise Unstorable("invalid_result", f"it is not JSON: {error}") from None
    if size > max_bytes:
        raise Unstorable(
            "result_too_large",
            f"it has {size} bytes of JSON, more than the limit of {max_bytes} "
            "(max_result_bytes for results); store it elsewhere and return where",
        )
    if "\\u0000" in text and _NUL.search(text):
        raise Unstorable(
            "invalid_result", "it holds a NUL character (\\u0000), which PostgreSQL cannot store"
        )
    if text.count("[") + text.count("{") > MAX_DEPTH or _LONG_NUMBER.search(text):
        _check(value, MAX_DEPTH)
    return text


def _check(value: Any, levels: int) -> None:
    if isinstance(value, int) and abs(value) > _LARGEST:
        raise Unstorable("invalid_result", "it holds a number beyond the range of a double")
    if isinstance(value, (dict, list, tuple)):
        if levels == 0:
            raise Unstorable("invalid_result", f"it is nested deeper than {MAX_DEPTH} levels")
        for inner in value.values() if isinstance(value, dict) else value:
            _check(inner, levels - 1)


def encode_failure(failure: Failure) -> str:
    """The JSON text of an error, made storable whatever it holds."""
    error = {
        "kind": _storable(failure.kind, MAX_KIND_BYTES),
        "message": _storable(failure.message, MAX_MESSAGE_BYTES),
    }
    if failure.details is None:
        return json.dumps(error, ensure_ascii=False)
    try:
        details = encode(failure.details, MAX_DETAILS_BYTES)
    except Unstorable as problem:
        details = json.dumps(f"left out: {problem}")
    return json.dumps(error, ensure_ascii=False)[:-1] + f', "details": {details}}}'


def _storable(text: Any, max_bytes: int) -> str:
    """NUL and broken characters are replaced, what is too long is cut."""
    data = str(text).replace("\0", "\ufffd").encode(errors="replace")
    if len(data) <= max_bytes:
        return data.decode()
    return data[:max_bytes].decode(errors="ignore") + "…"
