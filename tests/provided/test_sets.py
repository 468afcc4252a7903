import numpy as np
import pytest
import torch

from scaling_ood.provided import ProvidedError, head_of, read_provided, rows_of


def test_sets_head_classes_and_others_are_told_apart(folder):
    (folder / "classes.txt").write_text("ant\nbee\ncow\ndog\nelk\n")
    (folder / "notes.md").write_text("mine")
    (folder / ".DS_Store").write_text("")
    found = read_provided(str(folder))
    assert sorted(found.sets) == ["fit", "odd", "test"]
    assert found.ood == ("odd",)
    assert found.head is not None
    assert found.classes == ("ant", "bee", "cow", "dog", "elk")
    assert found.others == ["notes.md"]


def test_all_that_is_missing_is_told_at_once(tmp_path):
    (tmp_path / "notes.md").write_text("mine")
    with pytest.raises(ProvidedError) as caught:
        read_provided(str(tmp_path))
    told = str(caught.value)
    assert "no `test`" in told
    assert "no OOD set" in told
    assert "notes.md" in told


def test_two_files_of_one_name_are_refused(folder):
    np.save(folder / "odd.npy", np.zeros((3, 5)))
    with pytest.raises(ProvidedError, match="odd: there are two of that name"):
        read_provided(str(folder))


def test_rows_take_arrays_tensors_and_lists():
    for given in ([[1, 2], [3, 4]], np.array([[1, 2], [3, 4]]), torch.tensor([[1.0, 2.0], [3.0, 4.0]])):
        assert rows_of("test", {"logits": given}).logits.tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_rows_of_other_numbers_and_shapes_are_told_at_once():
    with pytest.raises(ProvidedError) as caught:
        rows_of("odd", {"logits": np.zeros((3, 2)), "features": np.zeros(3), "targets": [0, 1]})
    assert "features have the shape (3,), and should have (N, D)" in str(caught.value)
    assert "3 logits, 2 targets" in str(caught.value)


def test_a_head_without_bias_has_one_of_zero_and_wrong_ones_are_refused():
    assert head_of({"weight": np.ones((2, 3))}).bias.tolist() == [0.0, 0.0]
    with pytest.raises(ProvidedError, match="1 biases for 2 rows of weights"):
        head_of({"weight": np.ones((2, 3)), "bias": [1.0]})
    with pytest.raises(ProvidedError, match="head has no weight"):
        head_of({"bias": [1.0]})
