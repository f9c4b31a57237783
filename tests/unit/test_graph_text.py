"""A model file in words names everything that is in it."""

from __future__ import annotations

from edgesnn.cli.main import main
from edgesnn.graph import read
from tests.small_models import LABELS, small_document


def test_info_names_every_node_state_and_label(tmp_path, capsys):
    path = tmp_path / "small.safetensors"
    small_document().save(path)
    assert main(["info", str(path)]) == 0
    text = capsys.readouterr().out
    document = read(path)
    names = [output for node in document.nodes for output in node.outputs]
    for word in (document.identity, *names, *(state.name for state in document.states), *LABELS, "window_us 100000"):
        assert word in text


def test_info_of_a_file_that_is_no_model_is_a_model_error(tmp_path, capsys):
    path = tmp_path / "wrong.safetensors"
    path.write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    assert main(["info", str(path)]) == 4
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("edgesnn: error: ")
    assert err.count("\n") == 1
