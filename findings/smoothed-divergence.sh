#!/usr/bin/env bash
# One would guess that a smoothed loss curve shows that the loss became infinite: a mean over it is infinite, and
# Series.mean() of the same values says so.
# pandas' rolling and expanding windows and ewm take an infinite value for a missing one, even for the maximum. With
# min_periods=1, which one sets so that the curve has a beginning, the third of three infinite losses is 2.15 over a
# window of five. ewm carries its last value on for as long as the loss is infinite or NaN: a run that diverged goes on
# as a straight line at the level it last had, to the end. No warning. The documentation says what min_periods counts
# and what ignore_na does to the weights, and of infinite values nothing. Version: pandas 3.1.1.
# It matters where curves are smoothed before they are drawn or the lowest loss is taken: ask isfinite before.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet pandas==3.1.1 numpy==2.4.6
"$dir/venv/bin/python" -W error - <<'EOF'
import numpy as np
import pandas as pd

print("pandas", pd.__version__)
loss = pd.Series([2.3, 2.2, 2.1, np.inf, np.inf, np.inf, np.nan, np.nan, np.nan])
print("the loss       ", loss.tolist())
assert loss.mean() == np.inf and loss.max() == np.inf
found = {"rolling mean": loss.rolling(5, min_periods=1).mean(), "rolling maximum": loss.rolling(5, min_periods=1).max(),
         "expanding mean": loss.expanding().mean(), "ewm": loss.ewm(alpha=0.5).mean()}
for name, values in found.items():
    print(f"{name:15}", values.round(4).tolist())
    assert not np.isinf(values).any(), "changed: " + name
six = {name: values[5] for name, values in found.items()}  # at the third infinite value
assert np.isclose(six["rolling mean"], 2.15) and np.isclose(six["rolling maximum"], 2.2), "changed: rolling"
assert found["expanding mean"].notna().all() and np.allclose(found["expanding mean"][2:], 2.2), "changed: expanding"
assert found["ewm"].notna().all() and np.ptp(found["ewm"][2:]) == 0, "changed: ewm"
assert loss.rolling(5).mean().isna().all(), "changed: where every value is asked for"
print("as described: finite throughout")
EOF
