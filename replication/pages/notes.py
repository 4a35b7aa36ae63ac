"""What popular notes and lectures say of these networks, put right where it is wrong."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from replication.models import baselines, cost
from replication.models.googlenet import googlenet, googlenet_naive
from replication.models.inception_v3 import inception_v3
from replication.models.ops import Conv
from replication.pages import html
from replication.pages.network_in_network import Branch, factorisations

RIGHT, WRONG, HALF, OPEN = "right", "wrong", "half right", "open"
COLOURS = {RIGHT: "supported", WRONG: "contradicted", HALF: "unresolved", OPEN: "not-run"}


@dataclass(frozen=True)
class Note:
    """A statement in our words, what is so, a verdict (OPEN: that of the claims named), and the claims or the page
    where it is shown."""
    id: str
    says: str
    truth: str
    verdict: str
    shown: Sequence[str] = ()
    page: tuple[str, str] | None = None  # file, title


ROWS = ("googlenet_row_by_row", "GoogLeNet, row by row")
HEADS = ("aux_heads", "Do auxiliary heads help?")
FINE = ("fine_tuning", "How much must be trained again for other classes?")
PRICE = ("network_in_network", "Network in Network and the price of a convolution")
CODE = ("differences", "Differences")
SPARSE = ("sparsity", "Sparse against dense")
ARORA = ("arora", "Arora's construction")
SCALES = ("scales", "Several scales at once")


def notes() -> tuple[Note, ...]:
    """All of them, with the numbers that can be counted."""
    v1, v3, naive = googlenet(aux=()), inception_v3(aux=()), googlenet_naive()
    parameters = {name: cost.parameters(net) / 1e6 for name, net in
                  {"v1": v1, "v3": v3, "naive": naive, "alexnet": baselines.ALEXNET}.items()}
    work = {name: cost.multiply_adds(net) / 1e9 for name, net in {"v1": v1, "v3": v3, "naive": naive}.items()}
    branch = Branch()
    first, reduced, direct = (one.multiply_adds for one in (branch.through(Conv(branch.reduction)), branch.reduced,
                                                            branch.direct))
    saved = factorisations().set_index(["kernel", "as"])["saved, %"]
    return (
        Note("S0-1", "AlexNet has about 60 million parameters.", f"{parameters['alexnet']:.2f} million.", RIGHT,
             ("AX-1",), ROWS),
        Note("S0-2", "Inception V3 is more accurate and less complex than GoogLeNet.",
             f"It has {parameters['v3'] / parameters['v1']:.1f} times the parameters, {work['v3'] / work['v1']:.1f} "
             "times the multiply-adds and more kinds of modules. Only single operations became cheaper.", WRONG,
             ("V3-19b", "V3-35a"), CODE),
        Note("S0-3", "Deep plain networks suffer from gradients that vanish or explode.",
             "How much depends on how their weights start, and on normalisation.", OPEN, ("V1-23a", "V1-23b"), HEADS),
        Note("S0-4", "The theorem of Arora et al. justifies the architecture.",
             "GoogLeNet's authors call it an inspiration and leave open whether quality comes from it.", HALF,
             ("AR-4",), ARORA),
        Note("S0-5", "The naive module approximates the best local sparse structure.",
             "Nobody has shown it; what correlates in a trained network can be measured.", OPEN, ("V1-10", "AR-4"),
             ARORA),
        Note("S1-1", "GoogLeNet has 22 layers, average pooling worth 0.6 points, dropout, heads on 4a and 4d.",
             "As in the paper. What is often left out: the heads pool 5×5 with stride 3 first, and weigh 0.3.", RIGHT,
             ("V1-04a", "V1-20", "V1-21", "V1-26"), ROWS),
        Note("S1-2", "The extra linear layer eases fine-tuning.", "The paper says convenience, and no major effect.",
             OPEN, ("V1-22", "V1-22b"), FINE),
        Note("S1-3", "The network's receptive field is 224×224.",
             "224×224 is the size of the input, though the paper uses the word; from 4b on a unit can see more.", HALF,
              (), SCALES),
        Note("S1-4", "1×1 convolutions cover units that correlate nearby, and larger ones take over with depth.",
             "It is the paper's rule; its own table does not follow it.", HALF, ("V1-09", "V1-09b", "V1-09c", "V1-10"),
             ARORA),
        Note("S1-5", "Sparse arithmetic loses to dense even with a hundredth of the operations.",
             "The paper says so of the hardware of 2014.", OPEN, ("V1-12",), SPARSE),
        Note("S2-1", "A 5×5 with 32 filters on 28×28×192 takes about 120 million multiplications.",
             f"{direct:,}.", RIGHT, ("V1-07",), PRICE),
        Note("S2-2", "With a reduction to 16 maps it takes 12.4 million, a tenth.",
             f"{first:,} + {reduced - first:,} = {reduced:,}, {direct / reduced:.2f} times fewer.", RIGHT, ("V1-07",),
             PRICE),
        Note("S2-3", "A reasonable reduction does not hurt.", "How far one may go has to be trained.", OPEN,
             ("V3-04", "V1-08c")),
        Note("S2-4", "A 1×1 convolution adds non-linearity.",
             "Its ReLU does: without it, it is a linear map and could be multiplied into the next.", HALF, ("V3-10",)),
        Note("S2-5", "Of the three classifiers the best is chosen in the end.",
             "The two at the side are thrown away; only the last one classifies.", WRONG, (), HEADS),
        Note("S2-6", "There are three classifiers because a network may be too deep to be best.",
             "The first paper wants gradient and regularisation from them, the second regularisation alone.", WRONG,
             ("V1-23a", "V3-14"), HEADS),
        Note("S2-7", "The branches must be padded, or they could not be concatenated.",
             "Their maps must have one side: a 3×3 without padding gives 26 of 28, a 5×5 gives 24.", RIGHT, (), ROWS),
        Note("S4-1", "The trouble with naive modules is a huge number of parameters.",
             f"The paper says computation. Both explode: {work['naive']:.1f} for {work['v1']:.1f} billion "
             f"multiply-adds, {parameters['naive']:.0f} for {parameters['v1']:.0f} million parameters.", HALF,
             ("V1-08",), PRICE),
        Note("S4-2", "A 1×1 convolution pools across channels.",
             "It is a linear map that is learnt, with a bias and a ReLU. Pooling has nothing to learn.", WRONG, (),
             PRICE),
        Note("S4-3", "Large kernels see what is global, small ones what is local.",
             "A 5×5 of module 3a sees four positions more than a 1×1, that is, 32 px more of 224; global is neither.",
             HALF, (), ROWS),
        Note("S4-4", "A module has filters of several sizes without more depth.",
             "A module counts two layers, as a 3×3 with its reduction does.", RIGHT, ("V1-04a",), ROWS),
        Note("S4-5", "Inception V3 is GoogLeNet with factorised convolutions, to save parameters.",
             f"A factorisation saves {saved['5×5', '3×3, 3×3']:.0f} or {saved['3×3', '3×1, 1×3']:.0f} %, and the "
             f"network has {parameters['v3'] / parameters['v1']:.1f} times as many all the same. Its stem, grid "
             "reduction, normalised head, label smoothing and optimiser are new, too.", HALF,
             ("V3-07a", "V3-11a", "V3-32"), CODE),
    )


def table() -> html.Html:
    """Every statement, what is so, and where it is shown."""
    return html.Html(html.cards(("Statement", "What is so", "Verdict", "Shown"), [
        (f"<strong>{note.id}</strong> {html.text(note.says)}", html.text(note.truth),
         html.word(note.verdict, COLOURS[note.verdict]), _where(note)) for note in notes()]))


def _where(note: Note) -> str:
    page = [f'<a href="{note.page[0]}.html">{html.text(note.page[1])}</a>'] if note.page else []
    return ", ".join([*page, *note.shown]) or "–"
