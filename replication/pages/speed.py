"""What `bench` measured, as its page shows it, and what this project wants of it; `roofline` reads tables here too."""
from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from replication import checked, paths
from replication.errors import BadInput
from replication.pages.html import Groups, Html, digits, grouped, word

Tables = dict[str, pd.DataFrame]  # by device

NETWORKS = {"googlenet": "as published", "googlenet_bn": "with BN", "googlenet_torchvision": "same network",
            "inception_v3": "same network"}  # as which of torchvision's
SAME = tuple(name for name, words in NETWORKS.items() if words == "same network")
VARIANTS = {"torchvision-reference": "torchvision's script", "torchvision-tuned": "torchvision, tuned"}
NORMALISED = ("times_normalised", "times_normalised_low", "times_normalised_high")
PHASES = {"train": "training", "infer": "inference"}


def stored(kind: str) -> Tables:
    """Every `<kind>-<device>.csv`, yours before the published one of the same name, with the ceilings of its device
    (`at_its_best`); quick ones are no measurement.

    Raises BadInput for a file that bench did not write.
    """
    tables, others = tables_of(kind, read), tables_of("roofline" if kind == "bench" else "bench", read)
    return {device: at_its_best(table, others.get(device)) for device, table in tables.items()}


def at_its_best(table: pd.DataFrame, other: pd.DataFrame | None) -> pd.DataFrame:
    """The same measurements against the best that their device was seen to do: in any line of this table, and of the
    `other` kind's, if that was measured with as many threads and the same versions. A ceiling seen once is a ceiling of
    both, so they name the same one, whichever was measured first."""
    by = ["threads", "versions"]
    same = other is not None and list(table[by].iloc[0]) == list(other[by].iloc[0])
    seen = pd.concat([table, other]) if same else table
    matmul, copy = seen.matmul_tflops.max(), seen.copy_gb_per_s.max()
    found = table.assign(matmul_tflops=matmul, copy_gb_per_s=copy)
    if "matmul_share" in table:  # bench
        return found.assign(matmul_share=table.tflops / matmul,
                            copy_share=table.copy_share * table.copy_gb_per_s / copy)
    moves, calculates = table.bytes / copy / 1e6, table.operations / matmul / 1e9  # ms
    predicted = np.maximum(moves, calculates)
    return found.assign(predicted_ms=predicted, ratio=table.ms / predicted,
                        bound=np.where(calculates > moves, "arithmetic", "bytes"))


def tables_of(kind: str, reader: Callable[[Path], pd.DataFrame] = checked.read) -> Tables:
    """Every `<kind>-<processor>.csv`, yours before the published one of the same name."""
    tables = map(reader, paths.tables(kind))
    return {str(table.device.iloc[0]): table for table in tables}


def read(path: Path) -> pd.DataFrame:
    """A table that bench wrote. Raises BadInput for another."""
    table, whole = checked.read(path), checked.content(path).endswith(b"\n")
    with suppress(ValueError):  # words in place of numbers
        if whole and len(table) and {"device", "phase", "precision", "status", "versions", "threads", "matmul_tflops",
                                     "copy_gb_per_s"} <= set(table.columns):
            absent = {name: math.nan for name in NORMALISED if name not in table}  # in tables of before
            table = table.astype(dict.fromkeys(("threads", "matmul_tflops", "copy_gb_per_s"), float))
            runs, width = (table[name].fillna(1) if name in table else 1 for name in ("runs", "width"))
            return table.assign(**absent, runs=runs, width=width).astype({"runs": int, "width": float})
    raise BadInput(f"{path} is no table that bench wrote: delete it and measure again.")


def gpu(table: pd.DataFrame) -> bool:
    """Whether it comes from a GPU: there, and nowhere else, bf16 is used."""
    return bool((table.precision == "bf16").any())


def state(tables: Tables, command: str) -> Html:
    """What has been measured and what has not, in a sentence or two."""
    if not tables:
        return Html(f'<p class="state">Not yet measured: <code>{command}</code> does it.</p>')
    seen = f"Measured on {' and '.join(map(escape, tables))}."
    more = "" if any(map(gpu, tables.values())) else " Not yet run on a GPU."
    return Html(f'<p class="state">{seen}{more}</p>')


def source(tables: Tables) -> str:
    """The devices a page's numbers were measured on, for its footer."""
    return ", ".join(tables) or "none: not yet measured"


# -- bench --------------------------------------------------------------------------------------------------------
def label(line: Any) -> str:
    """Whose program and which network, in a table of one size."""
    if line.variant in VARIANTS:
        return VARIANTS[line.variant]
    if line.variant in RUNTIMES:
        return f"exported, {line.variant}"
    more = line.variant.removeprefix("ours").strip("-")
    return f"ours, {NETWORKS.get(line.network, line.network)}{f' ({more})' if more else ''}"


def size(line: Any) -> str:
    """`GoogLeNet, 224 px`, or `GoogLeNet, 56 px, a quarter as wide, 16 at once`"""
    more = "" if line.width == 1 else f", {'a quarter' if line.width == 0.25 else f'{line.width:g}'} as wide"
    more += f", {line.runs} at once" if line.runs > 1 else ""
    return f"{'Inception V3' if line.network == 'inception_v3' else 'GoogLeNet'}, {line.resolution} px{more}"


def images(tables: Tables, phase: str) -> Html:
    """Images a second of every variant, and how many times torchvision's, with their ranges; a table a device, a group
    a size."""
    def groups(table: pd.DataFrame) -> Groups:
        found: Groups = {}
        for line in lines_of(table[table.phase == phase]):
            cells = [ranged(line, name)
                     for name in ("images_per_s", "times_reference", "times_tuned", "times_normalised")]
            found.setdefault(f"{size(line)}, batch {line.batch}", []).append(
                [escape(label(line)), *(cells if line.status == "ok" else [escape(line.status)])])
        return found
    return by_device(tables, ("", "images/s", "× script", "× tuned", "× with BN"), groups)


def parts(tables: Tables) -> Html:
    """Where a training step's milliseconds go, and what it uses of the device."""
    def groups(table: pd.DataFrame) -> Groups:
        found: Groups = {}
        for line in lines_of(table[(table.phase == "train") & (table.status == "ok")]):
            found.setdefault(f"{size(line)}, batch {line.batch}", []).append(
                [escape(label(line)), *map(digits, (line.ms_data, line.ms_forward, line.ms_backward, line.ms_optimiser,
                                            line.tflops, 100 * line.matmul_share, line.peak_memory_mb))])
        return found
    columns = ("", "data, ms", "forward, ms", "backward, ms", "optimiser, ms", "TFLOP/s", "% of matrices", "MB")
    return by_device(tables, columns, groups)


@dataclass(frozen=True)
class Target:
    """What this project wants of a device. `value` of a line of its table must be at least, or at most, `bound`. Of
    which lines it is asked: of which `phase`, which `variants`, which more (`of`); whether of a GPU or of a processor,
    and of which GPUs, if not of all. One with `row` is asked of that row of the roofline."""
    sentence: str
    value: Callable[[Any], float]
    bound: float
    unit: str
    of: Callable[[Any], bool] = lambda line: line.network in SAME
    phase: str = "train"
    variants: tuple[str, ...] = ("ours",)
    most: bool = False
    gpu: bool = True
    devices: tuple[str, ...] = ()
    row: str | None = None

    def verdict(self, value: float) -> str:
        return "met" if (value <= self.bound if self.most else value >= self.bound) else "missed"

    @property
    def asked(self) -> str:
        return " or ".join(self.devices) or ("a GPU" if self.gpu else "a processor")

    def lines(self, bench: Tables, roofline: Tables) -> list[Any]:
        """Those it is asked of, and that have a value."""
        found = [line for device, table in (roofline if self.row else bench).items()
                 if gpu(table) == self.gpu and (not self.devices or any(name in device for name in self.devices))
                 for line in lines_of(table[table.phase == self.phase])]
        return [line for line in found
                if (line.row == self.row if self.row else line.variant in self.variants and self.of(line))
                and pd.notna(self.value(line))]


TINY_IMAGENET = 100_000  # training images
RUNTIMES = ("onnxruntime", "openvino")  # that run an exported network, on a CPU

TARGETS = (
    Target("Three times the images a second of torchvision's script", lambda line: line.times_reference, 3, "×"),
    Target("As fast as torchvision's network, tuned", lambda line: line.times_tuned, 1, "×"),
    Target("Of a step, no more than 3 % for the data", lambda line: 100 * line.ms_data / line.ms_per_step, 3, " %",
           most=True),
    Target("60 TFLOP/s at 224 px", lambda line: line.tflops, 60, " TFLOP/s", lambda line: line.resolution == 224),
    Target("100,000 images a second over all small runs together", lambda line: line.images_per_s, 100_000,
           " images/s", lambda line: line.runs >= 16, variants=("ours-graph",)),
    Target("An epoch of Tiny-ImageNet in 20 s on an H100 or H200", lambda line: TINY_IMAGENET / line.images_per_s, 20,
           " s", lambda line: line.resolution == 56, most=True, devices=("H100", "H200")),
    Target("Inference 1.35 times torchvision's network, tuned", lambda line: line.times_tuned, 1.35, "×",
           phase="infer", gpu=False),
    Target("The exported network 1.5 times torchvision's, tuned", lambda line: line.times_tuned, 1.5, "×",
           phase="infer", variants=RUNTIMES, gpu=False),
    Target("GoogLeNet as published trains 1.15 times as fast as torchvision's with batch normalisation, tuned",
           lambda line: line.times_normalised, 1.15, "×", lambda line: line.network == "googlenet", gpu=False),
    Target("LRN of the large maps (norm2) within five times what its bytes take",
           lambda line: line.ms / line.predicted_ms, 5, "×", phase="infer", most=True, gpu=False, row="norm2"),
)


def against_targets(bench: Tables, roofline: Tables) -> list[tuple[Target, str, float, str]]:
    """(target, where, value, its range) of every line that a target is asked of. The value has three digits, as it is
    shown: a turn more or less moves the third."""
    return [(target, f"{f'{line.row}, {line.resolution} px' if target.row else _whose(line)}, {line.device}",
             float(f"{target.value(line):.3g}"), _range(target, line))
            for target in TARGETS for line in target.lines(bench, roofline)]


def _range(target: Target, line: Any) -> str:
    """` [0.93, 1.22]`, by the lowest and the highest turns; nothing where the table has none."""
    ends = [target.value(line._replace(**{name: held for name in line._fields
                                          if pd.notna(held := getattr(line, f"{name}_{end}", math.nan))}))
            for end in ("low", "high")]
    return f" [{', '.join(digits(each) for each in sorted(ends))}]" if ends != [target.value(line)] * 2 else ""


def in_words(bench: Tables, roofline: Tables) -> str:
    """The targets that were asked, a line each, for a terminal."""
    return "\n".join(f"{target.sentence}: {digits(value)}{target.unit}{ends}, {target.verdict(value)} ({where})"
                     for target, where, value, ends in against_targets(bench, roofline))


def _whose(line: Any) -> str:
    return f"{size(line)}, {label(line).removeprefix('ours, ')}"


def targets(bench: Tables, roofline: Tables) -> Html:
    """A group a target, a line for each place where it was measured."""
    words = {"met": "supported", "missed": "contradicted"}
    found, groups = against_targets(bench, roofline), Groups()
    for target in TARGETS:
        groups[target.sentence] = [
            [escape(where), f"{digits(value)}{target.unit}{f'<small>{ends}</small>' if ends else ''}",
             word(target.verdict(value), words[target.verdict(value)])]
            for one, where, value, ends in found if one is target
        ] or [[word(f"not yet measured on {target.asked}", "not-run")]]
    return Html(grouped(("", "measured", "verdict"), groups))


def tally(bench: Tables, roofline: Tables) -> dict[str, int]:
    """Devices measured, GPUs among them, and how often a target was met and missed there."""
    verdicts = [target.verdict(value) for target, _, value, _ in against_targets(bench, roofline)]
    return {"devices": len(bench), "gpus": sum(map(gpu, bench.values())),
            "met": verdicts.count("met"), "missed": verdicts.count("missed")}


def ranged(line: Any, name: str) -> str:
    """A median and, where the table has them, the lowest and the highest turn: `1.49 [1.29, 1.69]`."""
    value, low, high = (getattr(line, f"{name}{end}") for end in ("", "_low", "_high"))
    return digits(value) if pd.isna(low) else f"{digits(value)} <small>[{digits(low)}, {digits(high)}]</small>"


def lines_of(table: pd.DataFrame) -> list[Any]:
    return list(table.itertuples())


DECODED = 0.9  # of what the decoder does in a plain loop on all cores, images are to stream


def streams() -> Tables:
    return tables_of("streaming")


STREAMS = {"decoder, squares": "plain loop, to squares", "folders": "streamed from folders",
           "shards": "streamed from shards", "decoder alone": "plain loop, decoded alone"}


def streaming(tables: Tables) -> Html:
    """Images a second of the plain loop and streamed, how many times the plain loop's, and whether that is enough."""
    def groups(table: pd.DataFrame) -> Groups:
        rows = []
        for line in lines_of(table):
            cells = [STREAMS[line.kind], ranged(line, "images_per_s"), ranged(line, "times_decoder")]
            judged = "met" if round(line.times_decoder, 3) >= DECODED else "missed"
            kind = {"met": "supported", "missed": "contradicted"}[judged]
            rows.append([*cells, word(judged, kind) if line.kind in ("folders", "shards") else ""])
        return {f"{table.bytes.iloc[0] / 1000:.0f} kB to {table.side.iloc[0]} px": rows}
    if not tables:
        return Html('<p class="state">Not yet measured: <code>make bench</code> does it.</p>')
    return Html("\n".join(
        f"<p><strong>{escape(device)}</strong>, {table.cores.iloc[0]} cores, medians of {table.turns.max()} turns "
        f"[lowest, highest], {escape(table.versions.iloc[0])}, commit <code>{escape(str(table.commit.iloc[0])[:9])}"
        f"</code></p>\n{grouped(('', 'images/s', '× plain loop', 'verdict'), groups(table))}"
        for device, table in tables.items()))


def by_device(tables: Tables, columns: tuple[str, ...], groups: Callable[[pd.DataFrame], Groups]) -> Html:
    """A table for each device that has lines of this kind."""
    found = [(table, groups(table)) for table in tables.values()]
    return Html("\n".join(f"<p>{_about(table)}</p>\n{grouped(columns, of)}" for table, of in found if of))


def _about(table: pd.DataFrame) -> str:
    first = lines_of(table)[0]
    words = [f"<strong>{escape(first.device)}</strong>", *([] if gpu(table) else [f"{first.threads:g} threads"]),
             f"medians of {table.turns.max()} turns [lowest, highest]", escape(first.versions),
             f"commit <code>{escape(str(first.commit)[:9])}</code>"]
    return ", ".join(words)
