#!/usr/bin/env bash
# One would guess that a rank test of few runs gives no p below the smallest that so few can have, or warns: three runs
# against three can be split in 20 ways, so two-sided nothing is below 0.1; three points have 6 orders, so 1/3.
# scipy's mannwhitneyu keeps to that until two runs have the same accuracy, as happens with a thousand images: then it
# takes a normal distribution, and a tie makes the result stronger: 0.077 for one, 0.047 where each side agrees with
# itself. kruskal gives 0.0495 without any tie. spearmanr gives exactly 0 for three points in order, and for four.
# No warning. kendalltau and ks_2samp are exact for the same numbers; so is wilcoxon of five pairs, with ties as well.
# Version: scipy 1.17.1.
# It matters wherever variants are compared over a few seeds, or a trend over a few widths: ask for a permutation.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet scipy==1.17.1 numpy==2.4.6
"$dir/venv/bin/python" -W error - <<'EOF'
from itertools import combinations, permutations

import numpy as np
import scipy
from scipy import stats

print("scipy", scipy.__version__)


def of_splits(a, b):  # how many splits of the six are as far apart, by the sum of the ranks
    ranks = stats.rankdata([*a, *b])
    off = [abs(ranks[list(chosen)].sum() - ranks.sum() / 2) for chosen in combinations(range(6), 3)]
    return np.mean(np.array(off) >= off[0] - 1e-9)


def of_orders(n):  # how many orders are as far from none, by the correlation
    off = [abs(np.corrcoef(range(n), order)[0, 1]) for order in permutations(range(n))]
    return np.mean(np.array(off) >= off[0] - 1e-9)


better = [91.0, 91.2, 91.4]
for name, a, b, due in (("no tie", [90.1, 90.2, 90.3], better, 0.1), ("one tie", [90.1, 90.1, 90.3], better, 0.0765),
                        ("all of a side equal", [90.1] * 3, [91.0] * 3, 0.0469)):
    p, exact = stats.mannwhitneyu(a, b).pvalue, of_splits(a, b)
    print(f"three runs against three, {name}: mannwhitneyu p = {p:.4f}, of all splits {exact:.4f}")
    assert abs(p - due) < 1e-4 and exact == 0.1, "changed: mannwhitneyu"
a = [90.1, 90.2, 90.3]
kruskal, ks = stats.kruskal(a, better).pvalue, stats.ks_2samp(a, better).pvalue
print(f"the same without a tie: kruskal p = {kruskal:.4f}, ks_2samp {ks:.4f}")
assert abs(kruskal - 0.0495) < 1e-4, "changed: kruskal"
assert abs(ks - 0.1) < 1e-9, "changed: ks_2samp"
for n in (3, 4):
    p, kendall = (test(range(n), range(n)).pvalue for test in (stats.spearmanr, stats.kendalltau))
    exact = of_orders(n)
    print(f"{n} points in order: spearmanr p = {p}, kendalltau {kendall:.4f}, of all orders {exact:.4f}")
    assert p == 0, "changed: spearmanr"
    assert abs(kendall - exact) < 1e-9, "changed: kendalltau"
for pairs in ([0.1, 0.2, 0.3, 0.4, 0.5], [0.2] * 5):
    assert stats.wilcoxon(pairs).pvalue == 2 / 2**5, "changed: wilcoxon"
print("as described: below what so few can give, and lower with ties")
EOF
