"""Nothing that a bundle holds leads out of it: weights in other files, links, pipes, and what is no bundle at all."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tracemalloc
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from inspector.errors import BundleError, DataError
from inspector.inference import contained
from inspector.inference.bundle import load
from inspector.inference.contained import MESSAGES, check_contained
from tests.bundles import detector

MODELS = Path(__file__).parents[2] / "models"
FLAG = helper.make_tensor_value_info("flag", TensorProto.BOOL, [])
OUT = helper.make_tensor_value_info("out", TensorProto.FLOAT, [4])


@pytest.fixture
def copy(bright: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bright, tmp_path / "copy"))


def inside() -> TensorProto:
    return numpy_helper.from_array(np.zeros(4, np.float32), "w")


def outside(location: str = "weights.bin") -> TensorProto:
    tensor = inside()
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location
    return tensor


def hidden() -> TensorProto:
    """Where the file is named, but the flag is not set."""
    tensor = outside()
    tensor.ClearField("data_location")
    return tensor


def varint(value: int) -> bytes:
    """As protocol buffers write it: seven bits a byte, the lowest first."""
    return bytes([value & 0x7F | 0x80]) + varint(value >> 7) if value > 0x7F else bytes([value])


def message(number: int, content: bytes) -> bytes:
    """A field that holds a message or a text."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def with_initializer(tensor: bytes) -> bytes:
    """An ONNX file whose graph has this tensor, however it is written."""
    return message(7, message(5, tensor))


def as_initializer(tensor: TensorProto) -> onnx.ModelProto:
    return helper.make_model(helper.make_graph([], "g", [], [OUT], [tensor]))


def as_constant(tensor: TensorProto) -> onnx.ModelProto:
    return helper.make_model(
        helper.make_graph([helper.make_node("Constant", [], ["out"], value=tensor)], "g", [], [OUT])
    )


def in_a_branch(tensor: TensorProto) -> onnx.ModelProto:
    branch = as_constant(tensor).graph
    node = helper.make_node("If", ["flag"], ["out"], then_branch=branch, else_branch=branch)
    return helper.make_model(helper.make_graph([node], "g", [FLAG], [OUT]))


def in_a_function(tensor: TensorProto) -> onnx.ModelProto:
    body = [helper.make_node("Constant", [], ["out"], value=tensor)]
    function = helper.make_function("own", "F", [], ["out"], body, [helper.make_opsetid("", 18)])
    return helper.make_model(helper.make_graph([], "g", [], [OUT]), functions=[function])


def as_sparse(tensor: TensorProto) -> onnx.ModelProto:
    indices = numpy_helper.from_array(np.arange(4), "i")
    model = as_initializer(inside())
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(tensor, indices, [8]))
    return model


PLACES: Mapping[str, Callable[[TensorProto], onnx.ModelProto]] = {
    place.__name__: place for place in (as_initializer, as_constant, in_a_branch, in_a_function, as_sparse)
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("tensor", [outside(), outside("/etc/passwd"), outside("*/_ORT_MEM_ADDR_/*"), hidden()])
def test_weights_outside_are_found_wherever_they_are(place: str, tensor: TensorProto) -> None:
    check_contained(PLACES[place](inside()).SerializeToString())
    with pytest.raises(DataError, match="weights are in another file; export it with all of them inside"):
        check_contained(PLACES[place](tensor).SerializeToString())


def compiled(node: onnx.NodeProto) -> None:
    """Have it stand for a compiled model, which OpenVINO would read from that file."""
    node.op_type, node.domain = "EPContext", "com.microsoft"
    node.attribute.extend(
        [helper.make_attribute("embed_mode", 0), helper.make_attribute("ep_cache_context", "/etc/passwd")]
    )


def test_models_compiled_elsewhere_are_found_wherever_they_are() -> None:
    alone, branched, functional = (place(inside()) for place in (as_constant, in_a_branch, in_a_function))
    compiled(alone.graph.node[0])
    compiled(branched.graph.node[0].attribute[0].g.node[0])
    compiled(functional.functions[0].node[0])
    for model in (alone, branched, functional):
        with pytest.raises(DataError, match=r"around a compiled model \(EPContext\); export it as it was before"):
            check_contained(model.SerializeToString())


def test_what_ships_and_what_tests_make_stands_alone() -> None:
    models = [path.read_bytes() for path in MODELS.glob("*/*.onnx")]
    assert models
    for model in (*models, detector(48, 64, 1)):
        check_contained(model)


@pytest.mark.parametrize("beyond", [1 << 32, 1 << 34, 1 << 63])
def test_no_field_hides_behind_bits_that_protocol_buffers_lose(beyond: int) -> None:
    entry = outside().external_data[0].SerializeToString()
    hiding = varint(13 << 3 | 2 | beyond) + varint(len(entry)) + entry
    check_contained(with_initializer(message(8, b"w")))
    with pytest.raises(DataError, match="no ONNX file, or a damaged one"):
        check_contained(with_initializer(message(8, b"w") + hiding))


@pytest.mark.parametrize(
    "field",
    [
        pytest.param(b"\x00\x00", id="of number 0"),
        pytest.param(b"\x02\x00", id="of number 0, bytes"),
        pytest.param(b"\x4b\x4c", id="a group"),
        pytest.param(b"\x4f", id="of no kind"),
        pytest.param(b"\x48" + b"\x80" * 10 + b"\x00", id="a number of 11 bytes"),
        pytest.param(b"\x4a" + varint(1 << 32), id="longer than a number of 32 bits tells"),
    ],
)
def test_what_protocol_buffers_take_otherwise_is_refused(field: bytes) -> None:
    with pytest.raises(DataError, match="no ONNX file, or a damaged one"):
        check_contained(with_initializer(message(8, b"w") + field))


@pytest.mark.parametrize("content", [b"\x01", b"\x80\x00", b"\x80\x01"])
def test_data_are_inside_by_a_plain_zero_alone(content: bytes) -> None:
    check_contained(with_initializer(b"\x70\x00"))
    for tag in (b"\x70", b"\x72" + varint(len(content))):  # a number, and a list of numbers
        with pytest.raises(DataError, match="weights are in another file"):
            check_contained(with_initializer(tag + content))


def test_tensors_are_found_in_a_graph_that_is_given_in_pieces() -> None:
    graph = as_initializer(outside()).graph
    pieces = message(7, message(2, b"g")) + message(7, message(5, graph.initializer[0].SerializeToString()))
    with pytest.raises(DataError, match="weights are in another file"):
        check_contained(pieces)


def test_what_onnx_runtime_takes_for_its_own_format_is_refused() -> None:
    model = message(2, b"\0\0ORTM") + as_initializer(inside()).SerializeToString()
    with pytest.raises(DataError, match="in ONNX Runtime's own format; export it as ONNX"):
        check_contained(model)


@pytest.mark.parametrize("node", [message(1, b""), message(1, message(4, b"")), message(1, message(5, b"") * 9)])
def test_many_small_messages_take_no_memory(node: bytes) -> None:
    model = message(7, node * 10_000)
    tracemalloc.start()
    try:
        check_contained(model)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < len(model)


def test_messages_lie_no_deeper_within_one_another_than_onnx_runtime_reads() -> None:
    def nested(graphs: int) -> bytes:
        """So many graphs below the first, each with the node and the attribute around it, and a name in the last."""
        content = message(2, b"g")
        for _ in range(graphs):
            content = message(1, message(5, message(6, content)))
        return message(7, content)

    check_contained(nested(33))
    for graphs in (34, 5_000):
        with pytest.raises(DataError, match="no ONNX file, or a damaged one"):
            check_contained(nested(graphs))


def test_fields_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contained, "MAX_FIELDS", 10)
    check_contained(message(7, message(2, b"g") * 9))
    with pytest.raises(DataError, match="of more than 10 fields; export it with weights as raw data"):
        check_contained(message(7, message(2, b"g") * 10))


def test_every_field_that_leads_to_a_tensor_is_known() -> None:
    kinds = {
        "ModelProto": "model", "TrainingInfoProto": "training", "GraphProto": "graph", "FunctionProto": "function",
        "NodeProto": "node", "AttributeProto": "attribute", "TensorProto": "tensor", "SparseTensorProto": "sparse",
    }  # fmt: skip
    for name, kind in kinds.items():
        fields = getattr(onnx, name).DESCRIPTOR.fields
        leading = {one.number: one.message_type.name for one in fields if one.message_type is not None}
        known = {number: kinds[holds] for number, holds in leading.items() if holds in kinds}
        assert MESSAGES.get(kind, {}) == known, name


@given(st.binary(max_size=200))
def test_any_bytes_are_read_to_their_end_or_refused(data: bytes) -> None:
    with suppress(DataError):
        check_contained(data)


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_a_damaged_file_is_read_to_its_end_or_refused(at: int, byte: int) -> None:
    data = bytearray(in_a_branch(outside()).SerializeToString())
    data[at % len(data)] = byte
    with suppress(DataError):
        check_contained(bytes(data))


def test_a_bundle_with_weights_outside_is_refused(copy: Path) -> None:
    path = copy / "detector.onnx"
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    model = as_initializer(outside()).SerializeToString()
    path.write_bytes(model)
    card = copy / "bundle.toml"
    card.write_text(card.read_text().replace(before, hashlib.sha256(model).hexdigest()))
    with pytest.raises(BundleError, match=rf"{re.escape(str(path))} is an ONNX file whose weights"):
        load(copy)


@pytest.mark.parametrize("name", ["bundle.toml", "detector.onnx", "repairer.onnx", "golden/bad.png", "golden"])
def test_a_link_out_of_the_bundle_is_refused(copy: Path, tmp_path: Path, name: str) -> None:
    (copy / name).rename(tmp_path / "elsewhere")
    (copy / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match=rf"{name}.* is a link out of {re.escape(str(copy))}; put the file itself"):
        list(load(copy).golden())


def test_a_link_to_the_whole_bundle_is_fine(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to(copy)
    assert list(load(tmp_path / "current").golden())


@pytest.mark.parametrize("name", ["bundle.toml", "detector.onnx", "golden/bad.png"])
def test_a_pipe_keeps_nobody_waiting(copy: Path, name: str) -> None:
    (copy / name).unlink()
    os.mkfifo(copy / name)
    with pytest.raises(BundleError, match=f"{name} is no plain file"):
        list(load(copy).golden())


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "a/b.png", "..", ".png"])
def test_no_name_on_a_card_leads_out(copy: Path, name: str) -> None:
    card = copy / "bundle.toml"
    card.write_text(card.read_text().replace('"bad.png"', f'"{name}"'))
    with pytest.raises(BundleError, match=r"golden\.1\.picture"):
        load(copy)


@pytest.mark.parametrize("value", ["[" * 100_000, "1" * 5000])
def test_a_card_that_no_parser_takes_is_no_toml(copy: Path, value: str) -> None:
    (copy / "bundle.toml").write_text(f"a = {value}")
    with pytest.raises(BundleError, match="is not TOML"):
        load(copy)


def test_golden_pictures_are_limited(copy: Path) -> None:
    card = copy / "bundle.toml"
    text = card.read_text()
    row = text[text.index("[[golden]]") : text.rindex("[[golden]]")]
    card.write_text(text + row * 300)
    with pytest.raises(BundleError, match="golden"):
        load(copy)
