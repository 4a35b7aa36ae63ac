import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CALL = """
import sys, torch
repo = sys.argv[1]
net = torch.hub.load(repo, "googlenet", source="local", num_classes=10, aux=["4a", "4d"])
out = net(torch.zeros(2, 3, 224, 224))
assert {k: tuple(v.shape) for k, v in out.items()} == {"main": (2, 10), "4a": (2, 10), "4d": (2, 10)}, out
assert sum(p.numel() for p in torch.hub.load(repo, "googlenet", source="local").parameters()) == 13_378_280
small = torch.hub.load(repo, "googlenet_bn", source="local", num_classes=10, aux=(), width=0.25, stem=4, resolution=32)
assert small.eval()(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
for name in ("inception_v3", "inception_v3_paper", "bn_inception"):
    small = torch.hub.load(repo, name, source="local", num_classes=10, aux=["5b"], width=0.25, resolution=96)
    out = small(torch.zeros(2, 3, 96, 96))
    assert {k: tuple(v.shape) for k, v in out.items()} == {"main": (2, 10), "5b": (2, 10)}, out
small = torch.hub.load(repo, "googlenet_torchvision", source="local", num_classes=10, width=0.25, resolution=32)
out = small(torch.zeros(2, 3, 32, 32))
assert {k: tuple(v.shape) for k, v in out.items()} == {"main": (2, 10), "4a": (2, 10), "4d": (2, 10)}, out
for name, options, shape in (("alexnet", {"width": 0.125, "resolution": 67}, (3, 67, 67)), ("lenet5", {}, (1, 32, 32)),
                             ("nin", {"width": 0.25, "head": "fc"}, (3, 32, 32))):
    small = torch.hub.load(repo, name, source="local", num_classes=10, **options)
    assert small(torch.zeros(2, *shape))["main"].shape == small.eval()(torch.zeros(2, *shape)).shape == (2, 10), name
words = torch.hub.load(repo, "kws_inception", source="local", num_classes=10)
assert words.eval()(torch.zeros(2, 30, 49, 1)).shape == (2, 10)
sys.path.insert(0, repo)
import hubconf, inspect
from replication.models import cost, registry
shown = {k: v for k, v in vars(hubconf).items() if callable(v) and k[0] != "_"}  # as torch.hub.list has it
assert {"googlenet", "googlenet_bn", "googlenet_torchvision", "inception_v3", "inception_v3_paper", "bn_inception",
        "alexnet", "lenet5", "nin"} <= set(shown) <= set(registry.NETWORKS), shown
for name, entry in shown.items():  # by default with the classes and the heads of the table
    table = registry.NETWORKS[name]()
    default = {k: p.default for k, p in inspect.signature(entry).parameters.items()}
    assert cost.shapes(table)[-1][1] == (default["num_classes"], 1, 1), name
    assert tuple(a.at for a in table.aux) == default.get("aux", ()), name
assert hubconf.dependencies == ["torch"]
try:
    torch.hub.load(repo, "googlenet", source="local", aux="4a")
except ValueError as error:
    assert "aux=('4a', '4d')" in str(error), error
else:
    raise AssertionError("a str was taken for a list of rows")
"""


def test_entry_from_a_clean_process(tmp_path):
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"TORCH_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", CALL, str(ROOT)], cwd=tmp_path, env=env, capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr
