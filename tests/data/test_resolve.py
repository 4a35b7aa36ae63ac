from __future__ import annotations

import subprocess
import sys

import pytest

from replication.data import spec, subset
from replication.data.load import load
from replication.data.registry import resolve
from replication.errors import BadInput


def test_defaults_become_values():
    assert resolve("shapes") == spec.Data("shapes", 32, 10, 3000, 2000)
    assert resolve("digits") == spec.Data("digits", 32, 10, 1297, 500)
    assert resolve("tiny-imagenet-200") == spec.Data("tiny-imagenet-200", 64, 200, 100_000, 10_000)
    assert resolve("tiny-imagenet-200", classes=10) == spec.Data("tiny-imagenet-200", 64, 10, 5000, 500)
    assert resolve("cifar10") == spec.Data("cifar10", 32, 10, 50_000, 10_000)
    assert resolve("cifar100", classes=20) == spec.Data("cifar100", 32, 20, 10_000, 2000)
    assert resolve("imagenette") == spec.Data("imagenette", 160, 10, 9469, 3925)


def test_no_torch_to_name_a_set():
    code = ("import sys; from replication.data import registry; registry.resolve('digits'); "
            "print(*{m.split('.')[0] for m in sys.modules})")
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "replication" in loaded
    assert not {"torch", "torchvision", "pandas", "numpy", "PIL", "sklearn"} & set(loaded)


@pytest.mark.parametrize(("given", "says"), [
    (("shape",), "Did you mean 'shapes'?"),
    (("tiny-imagenet",), "folder:PATH"),
    (("folder",), "folder:PATH"),
    ((3,), "must be a str"),
    (("shapes", "64"), "resolution='64' is a str"),
    (("shapes", 4), "between 8 and 1024"),
    (("digits", None, 11), "between 2 and 10"),
    (("digits", None, True), "bool"),
    (("digits", None, None, 1298), "between 10 and 1297"),
    (("cifar10", None, 5, None, 5001), "between 5 and 5000"),
    (("cifar10", None, 5, 4), "between 5 and 25000"),
])
def test_refused_in_a_sentence(given, says):
    with pytest.raises(BadInput) as caught:
        resolve(*given)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_value_with_an_unknown_name_is_refused():
    with pytest.raises(BadInput, match="Unknown data set 'mnist'"):
        load(spec.Data("mnist", 28, 10, 10, 10))


def test_none_in_a_value_means_all_there_are():
    assert len(load(spec.Data("digits", 8)).train.labels) == 1297


def test_choice_of_classes_and_images():
    assert subset.evenly(200, 10) == list(range(0, 200, 20))
    assert subset.evenly(10, 10) == list(range(10))
    groups = ["abcd", "AB", "123"]
    assert subset.interleave(groups) == (list("aA1bB2c3d"), [0, 1, 2, 0, 1, 2, 0, 2, 0])
    for n in range(10):
        assert subset.interleave(groups, n)[0] == list("aA1bB2c3d")[:n]
