#!/usr/bin/env bash
# One would guess that labels which are numbers from 0 on stay the numbers they are when a column is declared to hold
# classes, as train_test_split of the datasets library demands for a split with equal shares of each class.
# class_encode_column writes the numbers as text, sorts the text and numbers that: of twelve classes 2 becomes 4 and 10
# becomes 2, and of a hundred only 12 keep theirs. With ten classes, as in MNIST and CIFAR-10, nothing moves; what was
# tried there goes wrong on CIFAR-100 and Tiny-ImageNet. The documentation's example has true and false; names
# holds the order. cast_column with ClassLabel(num_classes=...) leaves numbers as they are. Version: datasets 5.2.0.
# It matters to whoever judges a trained network on such a part (its answers are numbered as before), or compares the
# confusions of two: of a hundred classes a perfect network gets 12 % right.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet datasets==5.2.0 numpy==2.4.6
cd "$dir"
HF_HUB_OFFLINE=1 HF_HOME="$dir/home" "$dir/venv/bin/python" -W error::UserWarning - <<'EOF'
import datasets

datasets.disable_progress_bars()
print("datasets", datasets.__version__)
for classes, kept in ((10, 10), (12, 2), (100, 12), (200, 2)):
    rows = datasets.Dataset.from_dict({"label": list(range(classes)) * 10, "was": list(range(classes)) * 10})
    try:
        rows.train_test_split(0.5, stratify_by_column="label")
    except ValueError as refused:
        assert "ClassLabel" in str(refused)
    else:
        raise AssertionError("changed: a split by plain numbers")
    encoded = rows.class_encode_column("label")
    half = encoded.train_test_split(0.5, stratify_by_column="label", seed=0)["test"]
    same = {was for label, was in zip(half["label"][:], half["was"][:]) if label == was}
    print(f"{classes} classes: {len(same)} keep their number; 2 becomes {encoded['label'][2]}")
    order = sorted(range(classes), key=str)
    assert encoded["label"][:] == [order.index(was) for was in rows["was"][:]], "changed: the numbers"
    assert encoded.features["label"].names == [str(number) for number in order], "changed: the names"
    assert len(same) == kept
    plain = rows.cast_column("label", datasets.ClassLabel(num_classes=classes))
    assert plain["label"][:] == rows["was"][:], "changed: cast_column"
print("as described: sorted as text; cast_column keeps the numbers")
EOF
