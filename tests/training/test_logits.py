"""Combining and counting, against loops over images and scikit-learn's metrics."""
from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import top_k_accuracy_score

from replication.data import spec
from replication.errors import BadInput
from replication.runs import store
from replication.training.logits import (
    RULES,
    Rule,
    Scores,
    ensemble,
    errors,
    expected,
    heads,
    images,
    keep,
    largest,
    logit_mean,
    most_confident,
    read,
    softmax_mean,
    subsets,
)

RNG = np.random.default_rng(0)
N, CLASSES = 200, 12
LABELS: NDArray[np.int64] = RNG.integers(0, CLASSES, N)


def guesses(strength: float = 2.0) -> NDArray[np.float32]:
    """Logits that lean towards the label."""
    z = RNG.normal(0, 1, (N, CLASSES))
    z[np.arange(N), LABELS] += strength
    return z.astype(np.float32)


def chances(row: Any) -> list[float]:
    total = sum(math.exp(z) for z in row)
    return [math.exp(z) / total for z in row]


def member(images: str = "a", **heads: Any) -> Scores:
    return Scores({"main": guesses(), **heads}, LABELS, images)


# -- combining ----------------------------------------------------------------------------------------------------
STACK = np.stack([guesses() for _ in range(3)]).astype(float)


def test_softmax_mean_is_the_mean_of_probabilities() -> None:
    found = softmax_mean(STACK)
    for i in range(N):
        expected = [sum(p) / 3 for p in zip(*(chances(z[i]) for z in STACK), strict=True)]
        assert np.exp(found[i]) == pytest.approx(expected)


def test_logit_mean() -> None:
    found = logit_mean(STACK)
    assert found[7, 3] == pytest.approx((STACK[0, 7, 3] + STACK[1, 7, 3] + STACK[2, 7, 3]) / 3)
    assert found.shape == (N, CLASSES)


def test_largest_is_the_largest_probability_made_to_sum_to_one() -> None:
    found = largest(STACK)
    for i in range(N):
        high = [max(p) for p in zip(*(chances(z[i]) for z in STACK), strict=True)]
        assert np.exp(found[i]) == pytest.approx([p / sum(high) for p in high])


def test_the_rules_differ_where_they_should() -> None:
    """Two members sure of one class and one moderately of another: the three rules disagree as worked out by hand."""
    z = np.log([[[0.50, 0.49, 0.01]], [[0.01, 0.49, 0.50]]])
    assert softmax_mean(z).argmax() == 1  # means 0.255, 0.49, 0.255
    assert largest(z).argmax() == 0       # 0.50 against 0.49
    z = np.log([[[0.9, 0.1 - 1e-9, 1e-9]], [[1e-9, 0.1, 0.9 - 1e-9]]])
    assert softmax_mean(z).argmax() == 0  # 0.45 each, 0.1
    assert logit_mean(z).argmax() == 1    # one veto suffices


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_every_rule_leaves_one_member_alone_and_stands_large_logits(rule: Rule) -> None:
    assert rule(STACK[:1]) is not None
    np.testing.assert_array_equal(rule(STACK[:1]), STACK[0])
    np.testing.assert_allclose(rule(np.stack([STACK[0]] * 4)) - STACK[0],
                               np.broadcast_to((rule(np.stack([STACK[0]] * 4)) - STACK[0])[:, :1], (N, CLASSES)),
                               atol=1e-9)
    assert np.isfinite(rule(STACK * 1e4)).all()


def test_most_confident() -> None:
    found = most_confident(STACK)
    for i in range(N):
        best = max(range(3), key=lambda m: max(chances(STACK[m, i])))
        assert found[i] == pytest.approx(STACK[best, i])


# -- errors -------------------------------------------------------------------------------------------------------
def test_errors_are_scikit_learns() -> None:
    z = guesses()
    found = errors(z, LABELS)
    for name, k in (("error", 1), ("error5", 5)):
        assert found[name] == pytest.approx(1 - top_k_accuracy_score(LABELS, z, k=k, labels=range(CLASSES)))
    assert 0 < found["error5"] < found["error"] < 1


def test_a_tie_goes_to_the_first_class() -> None:
    """A network that says nothing is right about class 0, and about classes 0 to 4 in its first five."""
    found = errors(np.zeros((CLASSES, CLASSES)), np.arange(CLASSES))
    assert found == {"error": pytest.approx(11 / 12), "error5": pytest.approx(7 / 12)}


def test_five_classes_have_no_top5_error() -> None:
    assert errors(np.eye(5), np.array([1, 2, 3, 4, 0])) == {"error": 1.0, "error5": 0.0}


@pytest.mark.parametrize(("logits", "says"), [
    (np.full((N, CLASSES), np.nan), "diverged"), (np.full((N, CLASSES), np.inf), "diverged"),
    (np.zeros((N - 1, CLASSES)), "do not belong to 200 labels"), (np.zeros(N), "do not belong")])
def test_what_is_no_logits(logits: Any, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        errors(logits, LABELS)


# -- heads --------------------------------------------------------------------------------------------------------
def test_heads_side_by_side() -> None:
    made = member(**{"4a": guesses(0.5), "4d": guesses(1.0)})
    rows = heads(made).set_index("head")
    assert list(rows.index) == ["main", "4a", "4d", "average", "most confident"]
    for head, logits in made.logits.items():
        assert rows.error[head] == pytest.approx((logits.argmax(1) != LABELS).mean())
    wrong = {"average": 0, "most confident": 0}
    for i, label in enumerate(LABELS):
        each = [chances(z[i].astype(float)) for z in made.logits.values()]
        wrong["average"] += int(np.argmax(np.sum(each, axis=0)) != label)
        wrong["most confident"] += int(np.argmax(max(each, key=max)) != label)
    for name, count in wrong.items():
        assert rows.error[name] == pytest.approx(count / N)


def test_one_head_has_nothing_beside_it() -> None:
    assert list(heads(member())["head"]) == ["main"]


# -- ensembles ----------------------------------------------------------------------------------------------------
def test_every_subset_of_seven() -> None:
    seven = [member() for _ in range(7)]
    rows = subsets(seven)
    assert len(rows) == 2 ** 7 - 1
    assert rows.groupby("networks").size().tolist() == [7, 21, 35, 35, 21, 7, 1]
    probability = [np.array([chances(z) for z in one.logits["main"].astype(float)]) for one in seven]
    for row in rows.itertuples():
        mean = sum(probability[m] for m in row.members) / row.networks
        order = np.argsort(-mean, axis=1)
        assert row.error == pytest.approx((order[:, 0] != LABELS).mean())
        assert row.error5 == pytest.approx(1 - (order[:, :5] == LABELS[:, None]).any(1).mean())
    for row in rows.sample(10, random_state=0).itertuples():
        assert row.error == errors(ensemble([seven[m] for m in row.members]), LABELS)["error"]


def test_the_expected_error_is_the_mean_over_subsets() -> None:
    four = [member() for _ in range(4)]
    rows = expected(four).set_index("networks")
    for k in range(1, 5):
        each = [errors(ensemble(some), LABELS) for some in itertools.combinations(four, k)]
        wrong = [one["error"] for one in each]
        assert rows.error[k] == pytest.approx(sum(wrong) / math.comb(4, k))
        assert (rows.lowest[k], rows.highest[k]) == (min(wrong), max(wrong))
        assert rows.error5[k] == pytest.approx(np.mean([one["error5"] for one in each]))
        assert rows.subsets[k] == math.comb(4, k)
    assert rows.error[4] < rows.error[1], "independent mistakes average out"


@pytest.mark.parametrize("other", [
    member("b"), Scores({"main": guesses()}, np.roll(LABELS, 1), "a"),
    Scores({"main": guesses()[:50]}, LABELS[:50], "a")], ids=["other images", "other order", "fewer"])
@pytest.mark.parametrize("how", [ensemble, subsets, expected])
def test_members_must_have_seen_the_same_images(other: Scores, how: Any) -> None:
    with pytest.raises(BadInput, match="Member 2 has not seen the same images in the same order as member 0"):
        how([member(), member(), other])


@pytest.mark.parametrize("n", [0, 13])
def test_how_many_may_be_looked_at(n: int) -> None:
    with pytest.raises(BadInput, match=f"the number of members={n}"):
        subsets([member()] * n)
    if not n:
        with pytest.raises(BadInput, match="no networks"):
            ensemble([])


def test_the_name_of_images_is_of_images_order_and_labels() -> None:
    data = spec.Data("tiny-imagenet-200", 64, 20, 1000, 200)
    name = images(data, LABELS)
    assert images(spec.Data("tiny-imagenet-200", 64, 20, 500, 200), LABELS) == name  # trained on fewer
    assert images(data, LABELS.astype(np.int32)) == name
    others = [images(spec.Data("cifar100", 64, 20, 1000, 200), LABELS),  # whose classes take turns likewise
              images(spec.Data("tiny-imagenet-200", 32, 20, 1000, 200), LABELS),
              images(spec.Data("tiny-imagenet-200", 64, 20, 1000, 200, content="part"), LABELS),
              images(data, LABELS[::-1])]
    assert len({name, *others}) == 5


# -- kept ---------------------------------------------------------------------------------------------------------
@pytest.fixture
def path(out: Path) -> Path:
    return store.logits("0123456789ab")


def test_read_back_equals_kept(path: Path, out: Path) -> None:
    made = member(**{"4a": guesses(), "labels": guesses()})
    keep(path, made)
    found = read(path)
    assert found.images == made.images
    assert list(found.logits) == list(made.logits)
    for head, logits in made.logits.items():
        assert found.logits[head].dtype == np.float32
        np.testing.assert_array_equal(found.logits[head], logits)
    np.testing.assert_array_equal(found.labels, LABELS)
    assert [p.relative_to(out).as_posix() for p in out.rglob("*.*")] == ["logits/0123456789ab.1.npz"]
    assert store.logits("0123456789ab", 144).name == "0123456789ab.144.npz"


def _truncated(path: Path) -> None:
    keep(path, member())
    path.write_bytes(path.read_bytes()[:-500])


def _pickled(path: Path) -> None:
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        np.save(file, np.array([{}], dtype=object), allow_pickle=True)


def _foreign(path: Path) -> None:
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        np.savez(file, a=1)


def _short(path: Path) -> None:
    keep(path, Scores({"main": guesses()[:-1]}, LABELS, "a"))


def _headless(path: Path) -> None:
    keep(path, Scores({"4a": guesses()}, LABELS, "a"))


def _text(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text("none")


@pytest.mark.parametrize("spoil", [lambda path: None, _truncated, _pickled, _foreign, _short, _headless, _text])
def test_what_cannot_be_read(path: Path, spoil: Any) -> None:
    spoil(path)
    with pytest.raises(BadInput, match=r"holds no logits \(.*delete it if it is there") as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_a_full_disk_leaves_what_was_there(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(path, before := member())

    def full(file: Any, **arrays: Any) -> None:
        file.write(b"some of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(BadInput, match=r"Could not write .* \(No space left on device\): free some space"):
        keep(path, member())
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    np.testing.assert_array_equal(read(path).logits["main"], before.logits["main"])
