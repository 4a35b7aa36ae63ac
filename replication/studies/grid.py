"""The whole grid on a screen: every study, what it trains, and what its arms change. No torch.

A study trains one network of the registry in every combination of its factors' arms. An arm has a key, which code,
tables and claims use, a label, which people see, and the fields it sets, by path (see `compose`). To add an ablation,
add an arm.
"""
from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from replication.data.spec import LogMel
from replication.data.speech import MIXED, SPEAKERS
from replication.errors import BadInput, unknown
from replication.models.mixtures import MIXES
from replication.models.ops import BatchNorm, CaffeXavier, He, TruncatedNormal
from replication.runs.experiments import Average, Experiment, Poly, RMSProp, Step, TorchRMSProp
from replication.studies.compose import AtLeast, SameCost, Times, Trained, compose
from replication.studies.setting import Setting


@dataclass(frozen=True)
class Arm:
    label: str
    sets: Mapping[str, Any] = field(default_factory=dict)


Factor = Mapping[str, Arm]  # by key


@dataclass(frozen=True)
class Study:
    """`sets` holds for all of its runs, whatever a profile says."""
    name: str
    question: str
    network: str
    factors: Mapping[str, Factor] = field(default_factory=dict)
    sets: Mapping[str, Any] = field(default_factory=dict)


def each(path: str, *values: Any) -> Factor:
    """A factor of one field, an arm a value: `each("recipe.label_smoothing", 0.0, 0.1)` has the keys "0" and "0.1"."""
    words = [f"{value:g}" if isinstance(value, (int, float)) else str(value) for value in values]
    return {word: Arm(word, {path: value}) for word, value in zip(words, values, strict=True)}


def ladder(steps: Factor) -> Factor:
    """Every arm on top of those before it, as in V3's Table 3."""
    sets: dict[str, Any] = {}
    return {key: Arm(arm.label, sets := {**sets, **arm.sets}) for key, arm in steps.items()}


# As published, with LRN; the batch-normalised form has none.
NORM = {"lrn": Arm("LRN", {"network.norm": None}), "bn": Arm("BN", {"network.norm": BatchNorm()})}
HEADS = {"none": Arm("none", {"network.aux": ()}), "4a": Arm("4a", {"network.aux": ("4a",)}),
         "4d": Arm("4d", {"network.aux": ("4d",)}), "4a+4d": Arm("4a + 4d", {"network.aux": ("4a", "4d")})}
HE, CAFFE = Arm("He", {"network.init": He()}), Arm("Xavier (Caffe)", {"network.init": CaffeXavier()})
INIT = {"he": HE, "xavier": CAFFE, "small": Arm("N(0, 0.01)", {"network.init": TruncatedNormal(0.01)})}
RMSPROP = {"recipe.optimiser": RMSProp()}  # ε = 1 inside the root, which starts at 1: steps as long as SGD's
ALIKE = {"network.width": SameCost()}
BN = {"network.norm": BatchNorm()}
GOOGLENET_BN = {"network": "googlenet", **BN}  # as the first paper's studies have it, so that runs are shared
# The rows of V3's Table 3 from Inception-v2 on, and what each sets.
TABLE3 = {
    "v2": Arm("Inception-v2", {"network.stem": "7x7", "network.aux_norm": "conv"}),
    "rmsprop": Arm("+ RMSProp", RMSPROP),
    "smoothing": Arm("+ label smoothing", {"recipe.label_smoothing": 0.1}),
    "7x7": Arm("+ factorised 7×7", {"network.stem": "3x3"}),
    "bn-aux": Arm("+ BN-auxiliary", {"network.aux_norm": "all"})}
V3_SIDE = {"data.resolution": AtLeast(40)}  # below 39 px nothing is left of the map before its last reduction
V3_RECIPE = {**RMSPROP, "recipe.label_smoothing": 0.1}
# The whole set, for a profile's own may be pictures, heard as when its runs were published: with its offsets, and of
# what is longer than a second the middle one, which of 5 recordings in 3,000 leaves less than 95 % of the energy.
SPOKEN = {"data.name": "fsdd", "data.features": LogMel(rate=8000, mels=40, mfcc=30, high=3800.0, peak=True),
          **{f"data.{field}": None for field in ("resolution", "classes", "train_images", "val_images", "part")}}


def rates(*factors: float) -> Factor:
    """The peak learning rate times each."""
    return {f"{factor:g}": Arm(f"×{factor:g}", {"recipe.lr": Times(factor)} if factor != 1 else {})
            for factor in factors}


STUDIES = {study.name: study for study in (
    Study("single", "How well does one network learn?", "googlenet_bn"),  # `study.single` takes any other
    # -- how to train, on a pilot's images
    Study("rates", "Which peak rate, how many epochs, of how many images?", "googlenet", {
        "norm": NORM, "length": {
            "6": Arm("6 epochs of 4,000 images", {"recipe.epochs": 6}),
            "12": Arm("12 epochs of 4,000 images", {"recipe.epochs": 12}),
            "12 of half": Arm("12 epochs of 2,000 images", {"recipe.epochs": 12, "data.train_images": 2000,
                                                            "data.val_images": 3000})},
        "rate": rates(0.5, 1, 2)}),
    Study("rates.other", "Which peak rate, where the network or its training is another?", "googlenet", {
        "form": {"fc": Arm("fully connected", {"network.head": "fc"}),
                 "naive": Arm("naive modules, equally costly", {"network.module": "naive", **ALIKE}),
                 "rmsprop": Arm("RMSProp", RMSPROP)}, "rate": rates(0.5, 1, 0.25)}, BN),
    Study("rates.batch", "Which batch, at which peak rate?", "googlenet",
          {"norm": NORM, "batch": each("recipe.batch", 64, 32), "rate": rates(0.5, 1, 2)}),
    # -- the first paper
    Study("v1.long", "How good does the network become, as published and with batch normalisation?", "googlenet",
          {"norm": {"bn": NORM["bn"], "lrn": NORM["lrn"]}}),
    Study("v1.gradient", "How strong is the gradient that reaches the first layer before training?", "googlenet",
          {"norm": NORM, "init": INIT}, {"recipe.epochs": 0}),
    Study("v1.aux", "Do auxiliary heads help?", "googlenet", {"norm": NORM, "aux": HEADS}),
    Study("v1.weight", "How much should auxiliary heads weigh, and does it depend on how the weights start?",
          "googlenet", {"norm": NORM, "init": {"he": HE, "xavier": CAFFE},
                        "weight": each("recipe.aux_weight", 0.3, 0.1, 1.0)}),
    Study("v1.head", "Does average pooling do better than a fully connected layer, and is dropout needed?", "googlenet",
          {"norm": NORM, "head": each("network.head", "average", "fc", "nin"),
           "dropout": each("network.dropout", 0.4, 0.0, 0.7)}),
    Study("v1.ablation", "What of the network keeps it from overfitting?", "googlenet", {"form": {
        "whole": Arm("as it is"),
        "average": Arm("fully connected layer for the average", {"network.head": "fc"}),
        "dropout": Arm("no dropout", {"network.dropout": 0.0}),
        "heads": Arm("no auxiliary heads", {"network.aux": ()})}}, BN),
    Study("v1.module", "At equal multiply-adds, are modules with reductions better?", "googlenet", {"module": {
        "reduced": Arm("reduced"),
        "unreduced": Arm("no reductions", {"network.module": "unreduced", **ALIKE}),
        "naive": Arm("naive", {"network.module": "naive", **ALIKE})}}, BN),
    Study("v1.scales", "Do kernels of several sizes do better than kernels of one?", "googlenet", {"kernels": {
        "mixed": Arm("1×1, 3×3 and 5×5"),
        **{f"only {side}": Arm(f"{side.replace('x', '×')} alone", {"network.module": f"only {side}", **ALIKE})
           for side in ("1x1", "3x3", "5x5")}}}, BN),
    Study("v1.mix", "At equal multiply-adds, does it matter how many filters of each size a module has?", "googlenet",
          {"mix": {"table": Arm("Table 1"), **each("network.mix", *MIXES)}}, BN),
    Study("v1.schedule", "What do the schedule of the rate and the average of the weights bring?", "googlenet", {
        "schedule": {"linear": Arm("linear to 0"),
                     "steps": Arm("−4 % every 8 epochs", {"recipe.schedule": Step(0.96, 8)}),
                     "root": Arm("square root to 0", {"recipe.schedule": Poly(0.5)})},
        "weights": {"last": Arm("last"), "average": Arm("average", {"recipe.average": Average()})}}, BN),
    Study("v1.augment", "Which changes of the images help?", "googlenet", {"augment": {
        "flip": Arm("mirror"),
        "area": Arm("+ boxes of 8 to 100 %", {"recipe.augment": ("area", "flip")}),
        "resize": Arm("+ the same, resized in four ways", {"recipe.augment": ("area in four ways", "flip")}),
        "photometric": Arm("+ photometric", {"recipe.augment": ("flip", "photometric")})}}, BN),
    Study("v1.start", "Must the networks of an ensemble start differently, or be different?", "googlenet", {"start": {
        "own": Arm("each its own"), "same": Arm("all the same", {"recipe.init_seed": 0}),
        "wider": Arm("each its own, half as wide again", {"network.width": Times(1.5)})}},
          {**BN, "recipe.augment": ("area", "flip")}),
    Study("fine", "How much of a trained network must be trained again for other classes?", "googlenet", {
        "length": {"1": Arm("1 epoch", {"recipe.epochs": 1}), "4": Arm("4 epochs", {"recipe.epochs": 4})},
        "trained": {
            "scratch": Arm("all, from the start"),
            "last": Arm("the last layer", {"recipe.start": Trained(BN), "recipe.trained": ("dropout", "linear")}),
            "all": Arm("all of it again", {"recipe.start": Trained(BN)})}},
          {**BN, "network.aux": (), "data.name": "digits", "data.classes": None, "data.train_images": None,
           "data.val_images": None}),
    Study("precision", "Do bf16 and fp32 give the same verdict?", "googlenet", {
        "precision": each("recipe.precision", "bf16", "fp32"), "head": each("network.head", "average", "fc")}, BN),
    Study("seeds", "What of a seed matters?", "googlenet", {"varied": {
        "all": Arm("all"), "start": Arm("initial weights", {"recipe.order_seed": 0}),
        "order": Arm("order of images", {"recipe.init_seed": 0})}}, BN),
    # -- batch normalisation
    Study("bn.rate", "Does batch normalisation bear higher learning rates?", "googlenet",
          {"norm": NORM, "rate": each("recipe.lr", 0.02, 0.1, 0.6)}, {"recipe.clip": None}),
    Study("bn.sigmoid", "Does batch normalisation make sigmoids trainable?", "googlenet",
          {"norm": NORM}, {"network.activation": "sigmoid"}),
    # -- the second paper
    Study("v3.ladder", "Which step of Inception V3 helps?", "inception_v3_paper", {"step": ladder(TABLE3)},
          V3_SIDE),
    Study("v3.steps", "What does each step of Inception V3 bring, alone?", "inception_v3_paper", {"step": {
        key: Arm(arm.label, {**TABLE3["v2"].sets, **arm.sets}) for key, arm in TABLE3.items()}}, V3_SIDE),
    Study("v3.networks", "Do the networks of V3's Table 3 do better, each than the one before?", "googlenet_bn", {
        "network": {"googlenet": Arm("GoogLeNet-BN", GOOGLENET_BN),
                    "bn-inception": Arm("BN-Inception", {"network": "bn_inception"}),
                    "v2": Arm("Inception V2", {"network": "inception_v3_paper", **TABLE3["v2"].sets}),
                    "v3": Arm("Inception V3", {"network": "inception_v3_paper", **V3_RECIPE})}}, V3_SIDE),
    Study("v3.long", "How good does Inception V3 become?", "inception_v3", {"recipe": {
        "paper": Arm("as published", {**V3_RECIPE, "recipe.clip": 2.0})}}, V3_SIDE),
    Study("v3.recipe", "What does each part of V3's training bring, alone?", "inception_v3", {"part": {
        "sgd": Arm("SGD"),
        "rmsprop": Arm("RMSProp", RMSPROP),
        "smoothing": Arm("label smoothing", {"recipe.label_smoothing": 0.1}),
        "average": Arm("average of weights", {"recipe.average": Average()}),
        "steps": Arm("−6 % every 2 epochs", {"recipe.schedule": Step(0.94, 2)}),
        "steps average": Arm("the same, average of weights", {"recipe.schedule": Step(0.94, 2),
                                                               "recipe.average": Average()}),
        "area": Arm("area crops", {"recipe.augment": ("area", "flip")})}}, V3_SIDE),
    Study("v3.heads", "Where should an auxiliary head be, and what should be in it?", "inception_v3", {"heads": {
        "none": Arm("none", {"network.aux": ()}),
        "early": Arm("6a", {"network.aux": ("6a",)}),
        "late": Arm("6e", {"network.aux": ("6e",)}),
        "both": Arm("6a + 6e", {"network.aux": ("6a", "6e")}),
        "plain": Arm("6e, nothing normalised", {"network.aux": ("6e",), "network.aux_norm": "none"}),
        "dropout": Arm("6e, dropout alone", {"network.aux": ("6e",), "network.aux_norm": "none",
                                             "network.aux_dropout": 0.7})}}, V3_SIDE),
    Study("v3.factor", "May two 3×3 stand for a 5×5?", "googlenet_two_3x3", {"form": {
        "5x5": Arm("5×5", GOOGLENET_BN),
        **{key: Arm(f"two 3×3, {words} between", {"network.middle": key}) for key, words in (
            ("root", "the geometric mean"), ("full", "as many as they give"), ("reduce", "as many as they get"))},
        **{f"{key} equal": Arm(f"{words}, equally costly", {"network.middle": key, **ALIKE}) for key, words in (
            ("full", "as many as they give"), ("reduce", "as many as they get"))},
        "linear": Arm("no ReLU between the two", {"network.linear": ("middle",)}),
        "linear reductions": Arm("no ReLU after the 1×1", {"network.linear": ("reduce",)})}}),
    Study("v3.asymmetric", "On which grids may n×1 and 1×n stand for n×n?", "googlenet_asymmetric", {"grid": {
        "none": Arm("none", {"network": "googlenet_two_3x3"}), **each("network.grid", "first", "second", "third")}}),
    Study("v3.reductions", "How far may channels be reduced before the large kernels?", "googlenet_reshaped",
          {"share": each("network.reductions", 1.0, 0.5, 0.25, 0.125, 0.0625)}),
    Study("v3.depth", "At equal multiply-adds, should a network be wider, deeper, or both?", "googlenet_reshaped", {
        "depth": {"half": Arm("half as deep, wider", {"network.depth": "half", **ALIKE}),
                  "whole": Arm("as it is", GOOGLENET_BN),
                  "double": Arm("twice as deep, narrower", {"network.depth": "double", **ALIKE})}}),
    Study("v3.last", "Do representations of more dimensions train faster?", "googlenet_reshaped", {"last": {
        "1": Arm("as they are", GOOGLENET_BN), "2": Arm("twice as wide", {"network.last": 2.0})}}),
    Study("v3.small", "At equal multiply-adds, how much do smaller images cost?", "googlenet", {"side": {
        "whole": Arm("whole side"),
        "half": Arm("half the side, half the stem's stride", {"data.resolution": Times(0.5),
                                                              "network.stem": Times(0.5)}),
        "naive": Arm("half the side, the same network", {"data.resolution": Times(0.5)})}}, BN),
    Study("v3.reduction", "Does the way in which the grid shrinks matter?", "inception_v3", {"reduction": {
        **each("network.reduction", "parallel", "pool first", "convolution first"),
        "pool first equal": Arm("pool first, equally costly", {"network.reduction": "pool first", **ALIKE}),
        "convolution first equal": Arm("convolution first, equally costly", {
            "network.reduction": "convolution first", **ALIKE})}}, V3_SIDE),
    Study("v3.smoothing", "What does label smoothing change?", "googlenet",
          {"smoothing": each("recipe.label_smoothing", 0.0, 0.05, 0.1, 0.2)}, BN),
    Study("v3.clip", "Does clipping the gradient keep a training stable?", "googlenet",
          {"clip": {"2": Arm("clipped at 2", {"recipe.clip": 2.0}), "None": Arm("not clipped", {"recipe.clip": None})},
           "rate": rates(1, 3)}),
    Study("v3.rmsprop", "Does RMSProp do better than momentum, and does it matter where ε stands?", "googlenet",
          {"optimiser": {"sgd": Arm("SGD"), "rmsprop": Arm("RMSProp, TensorFlow's", RMSPROP),
                         "torch": Arm("RMSProp, torch's", {"recipe.optimiser": TorchRMSProp()})},
           "rate": rates(1, 3)}, BN),
    # -- the keyword network
    Study("kws.speakers", "Does it understand a speaker whom it has never heard?", "kws_inception", {"held": {
        MIXED: Arm("all six, mixed", {"data.held": (MIXED,)}),
        **{name: Arm(name, {"data.held": (name,)}) for name in SPEAKERS}}}, SPOKEN),
)}


def named(name: str) -> Study:
    """Raises BadInput for a study that is none."""
    if name not in STUDIES:
        raise unknown("study", name, STUDIES)
    return STUDIES[name]


def experiments(study: Study, setting: Setting) -> list[tuple[dict[str, str], Experiment]]:
    """What a study trains under a setting: the keys of its arms ({"norm": "lrn", "aux": "4a+4d"}) and the experiment,
    in the order declared. Raises BadInput as `compose` does, and for a setting of what its arms differ in."""
    chosen = {*setting.set, *(["network"] if setting.network else [])}
    for name, factor in study.factors.items():
        if path := next((path for arm in factor.values() for path in arm.sets if path in chosen), None):
            raise BadInput(f"{path} is what {study.name} compares, by its factor {name}: leave it out, or train some "
                           f"of its arms with --only {name}={next(iter(factor))}, or one network with --network.")
    found = []
    for arms in itertools.product(*(factor.items() for factor in study.factors.values())):
        keys = {name: key for name, (key, _) in zip(study.factors, arms, strict=True)}
        found.append((keys, compose(study.network, setting, study.sets, *(arm.sets for _, arm in arms))))
    return found
