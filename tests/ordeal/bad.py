"""What people may type or bring that cannot be, as a table: what it is, the value that the answer must name."""
from __future__ import annotations

import gzip
import os
import pickle
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from ordeal import tiny
from replication.__main__ import main
from replication.models import registry, weights
from replication.models import torchvision as port
from replication.models.build import build
from replication.runs import bundle, experiments, store
from replication.studies import workers
from replication.training import loop


@dataclass(frozen=True)
class Bad:
    """`shown`: what somebody types or brings, as the book prints it. `named`: what the answer must hold."""
    kind: str
    shown: str
    named: tuple[str, ...]
    do: Callable[[Path], Any]
    env: dict[str, str] = field(default_factory=dict)


# -- commands and parameters ----------------------------------------------------------------------------------------
def _command(line: str) -> int:
    """As `python -m replication` takes it, but that what would be trained takes a single step, here."""
    def one_step(jobs: list[Any], *_: Any, **__: Any) -> None:
        workers.workers(len(jobs))
        for _, experiment, seed in jobs[:1]:
            with store.lease(experiments.address(experiment, seed)):
                run = loop.Training(experiment, seed)
                run.step(next(run.batches()))

    workers.train = one_step
    return main(shlex.split(line))


def command(line: str, *named: str, kind: str = "verbs and options", **env: str) -> Bad:
    return Bad(kind, line, named, lambda place: _command(line.replace("…", str(place))), env)


SMALL = {"images": "40", "val_images": "20", "width": "0.125", "epochs": "1", "batch": "20"}


def parameter(given: str, *named: str, network: str = "googlenet") -> Bad:
    """`--set name=value` of a run that is tiny but for it; the answer names the value."""
    name, _, value = given.partition("=")
    own = " ".join(f"--set {key}={of}" for key, of in SMALL.items() if key != name)
    line = f"run --network {network} {own} --set {shlex.quote(given)}"
    shown = f"--network {network} --set {given}" if network != "googlenet" else f"--set {given}"
    return Bad("parameters", shown, named or (value,), lambda place: _command(line))


PARAMETERS = [parameter(*shlex.split(line)) for line in """
dataset=shape
dataset=3
classes=1
classes=11
classes=x
images=0
images=9
images=2.5
images=1000000000
val_images=-1
val_images=x
val_images=60000000
resolution=4
resolution=x
resolution=9999
crop=64
crop=x
crop=-8
width=0
width=x
width=-1
width=1e999 width
stem=3
stem=x
epochs=0
epochs=1.5
epochs=x
epochs=True
epochs_bn=0
epochs_bn=x
batch=0
batch=x
batch=1000
lr=-1
lr=x
lr=11
lr=1e999 lr
lr_bn=x
lr_bn=-0.5
seeds=0
seeds=x
first_seed=-1
first_seed=x
part=pilots
precision=fp16
network=googlenets
set=3
epoch=3 epoch
recipe.lrs=0.1 recipe.lrs
network.with=1 network.with
optimiser=Adam
optimiser=3
optimiser=SGD(momentums=0.9) momentums
optimiser=SGD(momentum="\\"x\\"") momentum
optimiser=SGD(0.9) SGD
optimiser=SGD(momentum=-1) -1
optimiser=RMSProp(epsilon=-1) -1
optimiser=RMSProp(decay=1.5) 1.5
optimiser=SGD(weight_decay=-1) -1
schedule=Step(gamma=-1,epochs=2) -1
schedule=OneCycle(rise=2) 2
clip=ClipValue(limit=-1) -1
augment=RandomCrop(size=-3) -3
augment=RandomCrop(size=99) 99
augment=AreaCrop(size=0) 0
augment=Photometric(low=2,high=1) 2
augment=TimeShift(frames=-3) -3
norm=BatchNorm(eps=-1) -1
schedule=Cosin
schedule=Step Step
schedule=Step(gamma=0.9) Step
schedule=Poly(2) Poly
warmup=2
warmup=x
clip=-1
clip=x
aux_weight=-1
aux_weight=x
label_smoothing=1
label_smoothing=x
augment=flop
average=0.9
average=Average(decay=2) 2
init_seed=x
order_seed=1.5
start=v1.aux
trained=9z
trained=pool1
aux=9z
aux=4a,4a 4a
aux=3
norm=bn
head=gap
dropout=2
dropout=x
init=Xavier
module=naiv
separable=x
pool1=x
large=x
strides=x
network.classes=5
network.resolution=64
data.part=x
data.held=theo held
data.features=3 features
data.name=shape
""".strip().splitlines()] + [
    parameter("resolution=16", "Inception V3", "16", network="inception_v3"),
    parameter("aux=7z", "7z", network="inception_v3"),
    parameter("dataset=digits", "lenet5", network="lenet5"),
    parameter("dataset=fsdd", "fsdd"),
    parameter("dataset=shapes", "kws_inception", network="kws_inception"),
    parameter("data.held=nobody", "nobody", network="kws_inception --dataset fsdd"),
]

VERBS = [
    command("lists", "lists"), command("list v1.auxx --profile cpu", "v1.auxx"), command("run v1.auxx", "v1.auxx"),
    command("list --profile gpuu", "gpuu"), command("list --profile …/none.yaml", "none.yaml"),
    command("list --profile", "--profile"), command("list --seeds 3", "--seeds"),
    command("list v1.aux --profile cpu --only norms=bn", "norms"),
    command("list v1.aux --profile cpu --only aux=4f", "4f"), command("list v1.aux --profile cpu --only aux", "aux"),
    command("list v1.aux --profile cpu --only aux=", "aux"),
    command("list 0123456789ab --profile cpu", "0123456789ab"),
    command("list 0123456789ab v1.aux --profile cpu", "addresses"),
    command("run v1.aux --network googlenet", "--network"), command("run --network googlenets", "googlenets"),
    command("run --network googlenet --dataset digit", "digit"), command("run --network googlenet --set =3", "=3"),
    command("run --network googlenet --set epochs", "epochs"),
    command("run --profile cpu --budget soon", "soon"), command("run --profile cpu --budget=-5m", "-5m"),
    command("run --profile cpu --budget -5m", "--budget"),
    command("run --profile cpu --budget 0", "0"), command("run --profile cpu --budget 10x", "10x"),
    command("run --profile cpu --bundle …/all.zip", "all.zip"),
    command("run --profile cpu --bundle …/none/all.tar", "none/all.tar"),
    command("import", "files"), command("import …/none.tar", "none.tar"), command("import …", "…"),
    command("import …/none.0123456789ab.pt", "none.0123456789ab.pt"),
    command("count", "network"), command("count googlenets", "googlenets"),
    command("count googlenet --resolution 3", "3"), command("count googlenet --resolution x", "x"),
    command("count googlenet --resolution -1", "-1"),
    command("zoo googlenet", "googlenet"), command("power --profile cpus", "cpus"),
    command("power --profile cpu", "pilot", REPLICATION_READ="mine"), command("compare a b", "b"),
    command("publish --profile cpus", "cpus"), command("publish --profile cpu", "cpu"),
    command("bench --budget x", "x"), command("bench --fast", "--fast"), command("gpu --budget x", "x"),
    command("gpu --profile cpus", "cpus"), command("gpu --bundle …/all.zip", "all.zip"),
]


# -- profiles -------------------------------------------------------------------------------------------------------
WHOLE = {"about": "a test", "parameters": "{images: 40, val_images: 20, width: 0.125, epochs: 1, batch: 20, seeds: 1}",
         "studies": "[v1.long]"}


def profile(shown: str, *named: str, text: str | bytes | None = None, **lines: str | None) -> Bad:
    """A profile that is right but for some lines."""
    held = {**WHOLE, **lines}
    content = text if text is not None else "".join(f"{k}: {v}\n" for k, v in held.items() if v is not None)

    def do(place: Path) -> int:
        (place / "mine.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
        return _command(f"run --profile {shlex.quote(str(place / 'mine.yaml'))}")
    return Bad("profiles", shown, named or ("mine.yaml",), do)


PROFILES = [
    profile("an empty file", text=""), profile("a list", text="- a\n- b\n"), profile("no YAML", text="about: [a\n"),
    profile("a tab before a name", text="about: a\nparameters:\n\tseeds: 1\nstudies: [v1.aux]\n"),
    profile("a picture", text=b"\x89PNG\r\n\x1a\n\0\0\xff"), profile("no about", about=None),
    profile("about: 3", about="3"), profile("no parameters", parameters=None),
    profile("parameters: [a]", parameters="[a]"), profile("no studies", studies=None),
    profile("studies: v1.aux", studies="v1.aux"), profile("studies: [v1.auxx]", "v1.auxx", studies="[v1.auxx]"),
    profile("studies: [3]", "3", studies="[3]"),
    profile("parameters: {epoch: 1}", "epoch", parameters="{epoch: 1}"),
    profile("parameters: {seeds: x}", "seeds", "x", parameters="{seeds: x}"),
    profile("parameters: {width: [1]}", "width", "[1]", parameters="{width: [1]}"),
    profile("parameters: {lr: yes}", "lr", "yes", parameters="{lr: yes}"),
    profile("parameters: {dataset: shape}", "shape", parameters="{dataset: shape}"),
    profile("parameters: {3: 4}", "3", parameters="{3: 4}"),
    profile("budget: soon", "soon", budget="soon"), profile("budget: -5m", "-5m", budget="-5m"),
    profile("budget: [20m]", "20m", budget="[20m]"), profile("budgets: 20m", "budgets", budgets="20m"),
    profile("a study's seeds: 0", "seeds", "0", studies="[{v1.long: {seeds: 0}}]"),
    profile("a study's sede: 1", "sede", studies="[{v1.long: {sede: 1}}]"),
    profile("a study's only: {norms: bn}", "norms", studies="[{v1.long: {only: {norms: bn}}}]"),
    profile("a study's only: {norm: bm}", "bm", studies="[{v1.long: {only: {norm: bm}}}]"),
    profile("a study's only: bn", "bn", studies="[{v1.long: {only: bn}}]"),
    profile("a study's only: {seeds: x}", "x", studies="[{v1.long: {only: {seeds: x}}}]"),
    profile("a study twice", "v1.long", studies="[v1.long, {v1.long: {seeds: 2}}]"),
]


# -- data folders ---------------------------------------------------------------------------------------------------
def data(shown: str, make: Callable[[Path], Any], *named: str, dataset: str = "folder:…/set", resolution: int = 24,
         ) -> Bad:
    """`make` lays something out at …/set, or below the data for a set with a name."""
    def do(place: Path) -> None:
        (place / "data").mkdir()
        make(place / "data" if not dataset.startswith("folder") else place / "set")
        tiny.decode(dataset.replace("…", str(place)), resolution)
    return Bad("data folders", shown, named, do)


def _made(*paths: str, **content: bytes) -> Callable[[Path], Any]:
    """A good folder with two classes, and in it something that is none."""
    def make(top: Path) -> None:
        tiny.pictures(top, ("bee", "cow"), 4)
        for name in paths:
            (top / name).mkdir(parents=True, exist_ok=True)
        for name, held in content.items():
            path = top / name.replace("__", "/").replace("_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(held)
    return make


def _link(target: str) -> Callable[[Path], Any]:
    def make(top: Path) -> None:
        tiny.pictures(top, ("bee", "cow"), 4)
        (top / "bee" / "link.png").symlink_to(target)
    return make


def _layout(*classes: str) -> Callable[[Path], Any]:
    return lambda top: [tiny.pictures(top / Path(name).parent, (Path(name).name,), 3) for name in classes]


def _file(name: str, content: bytes) -> Callable[[Path], Any]:
    def make(top: Path) -> None:
        path = top / name if name else top
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return make


def _fifo(top: Path) -> None:
    tiny.pictures(top, ("bee", "cow"), 4)
    os.mkfifo(top / "bee" / "pipe.png")


def _huge() -> bytes:
    """A PNG that says it has 60,000 by 60,000 pixels."""
    import struct
    import zlib
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b""))


def _tiny(spoil: Callable[[Path], Any]) -> Callable[[Path], Any]:
    """Tiny-ImageNet's layout, two classes, spoiled."""
    def make(top: Path) -> None:
        root = top / "tiny-imagenet-200"
        lines = []
        for n, wnid in enumerate(("n01", "n02")):
            tiny.pictures(root / "train" / wnid, ("images",), 2, 64)
            for path in sorted((root / "train" / wnid / "images").iterdir()):
                path.rename(path.with_name(f"{wnid}_{path.stem}.JPEG"))
            lines.append(f"val_{n}.JPEG\t{wnid}\t0\t0\t62\t62\n")
        tiny.pictures(root / "val", ("images",), 2, 64)
        for path in sorted((root / "val" / "images").iterdir()):
            path.rename(path.with_name(f"val_{path.stem}.JPEG"))
        (root / "val" / "val_annotations.txt").write_text("".join(lines))
        spoil(root)
    return make


def _wav(rate: int = 8000, channels: int = 1, width: int = 2, name: str = "0_theo_0.wav", cut: int = 0,
         ) -> Callable[[Path], Any]:
    def make(top: Path) -> None:
        import spoken
        root = spoken.fsdd(top / "fsdd", digits=2)
        path = spoken.write(root / "recordings" / name, spoken.tone(400, rate), rate, channels, width)
        if cut:
            path.write_bytes(path.read_bytes()[:cut])
    return make


PNG = b"\x89PNG\r\n\x1a\n"
FOLDERS = [
    data("folder:…/set, which is not there", lambda top: None, "…/set"),
    data("folder: and no path", lambda top: None, dataset="folder:"),
    data("a file", _file("", b"x"), "…/set"), data("an empty folder", lambda top: top.mkdir(), "…/set"),
    data("a zip in place of a folder", _file("", tiny.packed({"a/1.png": b""})), "…/set"),
    data("one class", _layout("bee"), "…/set"), data("a class without images", _made("dog"), "dog"),
    data("a class with a text alone", _made(dog__notes_txt=b"x"), "dog"),
    data("a class of one image", lambda top: (_made()(top), tiny.pictures(top, ("dog",), 1)), "dog"),
    data("train/ without val/", _layout("train/bee", "train/cow"), "val"),
    data("val/ without train/", _layout("val/bee", "val/cow"), "train"),
    data("a class in train/ alone", _layout("train/bee", "train/cow", "train/dog", "val/bee", "val/cow"), "dog"),
    data("a text named .png", _made(bee__9_png=b"no picture"), "9.png"),
    data("an empty .png", _made(bee__9_png=b""), "9.png"),
    data("half a .png", _made(bee__9_png=PNG + b"\0\0\0\rIHDR"), "9.png"),
    data("60,000 by 60,000 pixels", _made(bee__9_png=_huge()), "9.png"),
    data("a folder named .png", _made(bee__9_png__1_png=PNG), "9.png"),
    data("a link that leads nowhere", _link("nowhere.png"), "link.png"),
    data("a link to itself", _link("link.png"), "link.png"), data("a pipe named .png", _fifo, "pipe.png"),
    data("resolution 4", _made(), "4", resolution=4),
    data("Tiny-ImageNet without val/", _tiny(lambda root: [p.unlink() for p in root.glob("val/images/*")]),
         "tiny-imagenet-200", dataset="tiny-imagenet-200"),
    data("Tiny-ImageNet without annotations", _tiny(lambda root: (root / "val/val_annotations.txt").unlink()),
         "val_annotations.txt", dataset="tiny-imagenet-200"),
    data("Tiny-ImageNet, words for a box", _tiny(lambda root: (root / "val/val_annotations.txt").write_text(
         "val_0.JPEG\tn01\ta\tb\tc\td\n")), "val_annotations.txt", dataset="tiny-imagenet-200"),
    data("Tiny-ImageNet, an empty folder", lambda top: (top / "tiny-imagenet-200").mkdir(), "tiny-imagenet-200",
         dataset="tiny-imagenet-200"),
    data("ImageNet, not there", lambda top: None, "imagenet", dataset="imagenet"),
    data("ImageNet, an empty folder", lambda top: (top / "imagenet").mkdir(), "imagenet", dataset="imagenet"),
    data("ImageNet, compressed shards", lambda top: [
        (top / "imagenet").mkdir(), *((top / "imagenet" / f"imagenet-{part}-000000.tar").write_bytes(
            gzip.compress(b"x" * 2000)) for part in ("train", "val"))], "imagenet-train", dataset="imagenet"),
    data("ImageNet, an empty shard", lambda top: [
        (top / "imagenet").mkdir(), *((top / "imagenet" / f"imagenet-{part}-000000.tar").write_bytes(b"")
                                      for part in ("train", "val"))], "imagenet-train", dataset="imagenet"),
    data("FSDD, a name of another form", _wav(name="theo.wav"), "theo.wav", dataset="fsdd", resolution=49),
    data("FSDD at 16 kHz", _wav(rate=16000), "16000", dataset="fsdd", resolution=49),
    data("FSDD in stereo", _wav(channels=2), "2 channels", dataset="fsdd", resolution=49),
    data("FSDD, a recording cut off", _wav(cut=100), "0_theo_0.wav", dataset="fsdd", resolution=49),
    data("FSDD, an empty recording", lambda top: (_wav()(top), (top / "fsdd/recordings/0_theo_0.wav").write_bytes(b"")),
         "0_theo_0.wav", dataset="fsdd", resolution=49),
    data("Speech Commands, an empty folder", lambda top: (top / "speech-commands").mkdir(), "speech-commands",
         dataset="speech-commands", resolution=49),
]


# -- weights and other files ----------------------------------------------------------------------------------------
def _net(**arguments: Any) -> Any:
    return build(registry.NETWORKS["googlenet"](**{"width": 0.125, "classes": 4, "aux": (), "resolution": 32, "stem": 4,
                                                   **arguments}))


def held(shown: str, make: Callable[[Path], Any], read: Callable[[Path], Any], *named: str) -> Bad:
    """`make` writes …/file, `read` is given its path."""
    def do(place: Path) -> None:
        make(place / "file")
        read(place / "file")
    return Bad("weight files", shown, named or ("file",), do)


def _load(path: Path) -> Any:
    return weights.load(_net(), path)


def _torch(value: Any) -> Callable[[Path], Any]:
    return lambda path: torch.save(value, path)


def _cut(make: Callable[[Path], Any], share: float = 0.5) -> Callable[[Path], Any]:
    def half(path: Path) -> None:
        make(path)
        path.write_bytes(path.read_bytes()[:int(share * path.stat().st_size)])
    return half


def _saved(path: Path) -> None:
    weights.save(_net(), path)


def _theirs(**more: Any) -> dict[str, Any]:
    """The names by which torchvision's GoogLeNet is known, and no more."""
    return {"fc.weight": torch.zeros(4, 1024), "inception3a.branch1.conv.weight": torch.zeros(64, 192, 1, 1), **more}


WEIGHTS = [
    held("weights.load of no file", lambda path: None, _load), held("of a folder", lambda path: path.mkdir(), _load),
    held("of an empty file", lambda path: path.touch(), _load),
    held("of a text", lambda path: path.write_text("weights"), _load),
    held("of a pickle", lambda path: path.write_bytes(pickle.dumps({"a": 1})), _load, "pickle"),
    held("of torch.save's file", _torch({"a": torch.zeros(1)}), _load, "pickle"),
    held("of half a file", _cut(_saved), _load), held("of all but a byte", _cut(_saved, 0.99999), _load),
    held("of other classes", lambda path: weights.save(_net(classes=5), path), _load, "5", "4"),
    held("of another width", lambda path: weights.save(_net(width=0.25), path), _load),
    held("of another network", lambda path: weights.save(build(registry.NETWORKS["lenet5"]()), path), _load, "LeNet"),
    held("of no tensors", lambda path: save_file({}, path), _load),
    held("of a tensor too many", lambda path: save_file(
        {**_net().state_dict(), "more": torch.zeros(1)}, path), _load, "more"),
    held("with classifier=\"old\"", _saved, lambda path: weights.load(_net(), path, "old"), "old"),
    held("weights.rebuilt of a stranger's file", lambda path: save_file({"a": torch.zeros(1)}, path), weights.rebuilt),
    held("weights.save into a folder", lambda path: path.mkdir(), _saved),
    held("with three names of four classes", lambda path: None,
         lambda path: weights.save(_net(), path, ("a", "b", "c")), "3", "4"),
    held("from_torchvision of no file", lambda path: None, port.from_torchvision),
    held("from_torchvision of a folder", lambda path: path.mkdir(), port.from_torchvision),
    held("from_torchvision of an empty file", lambda path: path.touch(), port.from_torchvision),
    held("from_torchvision of a text", lambda path: path.write_text("x"), port.from_torchvision),
    held("from_torchvision of half a file", _cut(_torch(_theirs())), port.from_torchvision),
    held("from_torchvision of a list", _torch([1, 2]), port.from_torchvision, "list"),
    held("from_torchvision of a whole module", _torch(torch.nn.Linear(1, 1)), port.from_torchvision),
    held("from_torchvision of another network", _torch({"a": torch.zeros(1)}), port.from_torchvision, "'a'"),
    held("from_torchvision of nothing", _torch({}), port.from_torchvision, "0 names"),
    held("from_torchvision, layers missing", _torch(_theirs()), port.from_torchvision, "conv1"),
    held("from_torchvision, a number for a tensor", _torch(_theirs(**{"conv1.conv.weight": 3})), port.from_torchvision,
         "conv1.conv.weight"),
    held("a bundle that is a text", lambda path: path.write_text("x"), lambda path: bundle.unpack([path])),
    held("a bundle that is empty", lambda path: path.touch(), lambda path: bundle.unpack([path])),
    held("a bundle of other things", lambda path: path.write_bytes(tiny.packed({"a.txt": b"x"}, "tar")),
         lambda path: bundle.unpack([path]), "a.txt"),
    held("an image of 8 px", lambda path: None, lambda path: _net().eval()(torch.zeros(1, 3, 8, 8)), "8"),
    held("an image of one channel", lambda path: None, lambda path: _net().eval()(torch.zeros(1, 1, 32, 32)), "1"),
    held("an image without a batch", lambda path: None, lambda path: _net().eval()(torch.zeros(3, 32, 32)), "32"),
    held("an image of bytes", lambda path: None,
         lambda path: _net().eval()(torch.zeros(1, 3, 32, 32, dtype=torch.uint8)), "uint8"),
]


# -- the environment ------------------------------------------------------------------------------------------------
def variable(name: str, value: str, line: str = "run --network googlenet --set images=40 --set val_images=20 "
             "--set epochs=1 --set batch=20 --set width=0.125", *named: str) -> Bad:
    def do(place: Path) -> int:
        (place / "file").touch()
        os.environ[f"REPLICATION_{name}"] = value.replace("…", str(place))
        return _command(line.replace("…", str(place)))
    return Bad("environment", f"REPLICATION_{name}={value}", named or (value,), do)


ENVIRONMENT = [
    *(variable("JOBS", value) for value in ("0", "x", "-1", "1.5")), *(
        variable("DEVICE", value) for value in ("tpu", "cuda" if not torch.cuda.is_available() else "mps")),
    variable("FAST", "quick"), variable("FAST", "graph"), variable("OUT", "…/file"), variable("OUT", "/proc/none"),
    variable("DATA", "…/file", "list --network googlenet --dataset folder:…/none", "…/none"),
]

CASES = [*PARAMETERS, *VERBS, *PROFILES, *FOLDERS, *WEIGHTS, *ENVIRONMENT]
