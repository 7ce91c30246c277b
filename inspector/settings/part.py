"""What all tables of the configuration have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator


class Part(BaseModel):
    """A table: frozen, and every key is known."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    @field_validator("*")
    @classmethod
    def _nameable(cls, value: Any) -> Any:
        if isinstance(value, str | Path):
            if "\0" in str(value):
                raise ValueError("no path or address has a NUL in it; take it out")
            try:
                str(value).encode()
            except UnicodeEncodeError:
                raise ValueError("it is not UTF-8; rename what is there, or name another") from None
        return value
