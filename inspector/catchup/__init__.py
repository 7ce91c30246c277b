"""Answers, from the journal, whoever missed messages: by ranges of sequences, a bounded piece at a time."""

from inspector.catchup.server import CatchUp

__all__ = ["CatchUp"]
