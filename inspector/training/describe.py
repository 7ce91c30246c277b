"""Writes into an ONNX file what it is, so that it can still be told when it is found without its card."""

from __future__ import annotations

import onnx

from inspector import __version__
from inspector.inference.bundle import Card
from inspector.types import Precision


def describe(model: bytes, card: Card, role: str, precision: Precision = Precision.FP32) -> bytes:
    """The `model`, with what `card` says of it among its metadata; `role`: detector or repairer."""
    graph = onnx.load_model_from_string(model)
    graph.producer_name, graph.producer_version = "inspector", __version__
    known = {entry.key: entry.value for entry in graph.metadata_props}
    onnx.helper.set_model_props(graph, known | _facts(card, role, precision))
    return graph.SerializeToString(deterministic=True)  # type: ignore[no-any-return]


def _facts(card: Card, role: str, precision: Precision) -> dict[str, str]:
    height, width, channels = card.input.shape
    facts = {
        "bundle": card.name,
        "bundle_version": card.version,
        "role": role,
        "precision": precision.value,
        "channels": str(channels),
        "licence": card.licence,
        "training_data_sha256": str(card.training.get("data_sha256", "not stated")),
    }
    if role == "detector":
        facts |= {"input_height": str(height), "input_width": str(width), "threshold": str(card.decision.threshold)}
        if "folded_threshold" in card.training:
            facts["folded_threshold"] = str(card.training["folded_threshold"])
    return facts
