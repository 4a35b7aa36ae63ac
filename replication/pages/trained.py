"""The claims that need training: quantities, and regions written down before any run that judges them.

Where a sentence gives no number, its region is the weakest that it allows. A claim of "no effect" is one of at most
MARGIN, a claim of a "minor" one of at most SMALL points.
"""
from __future__ import annotations

import math

from replication.data.speech import MIXED, SPEAKERS
from replication.pages.claim import MARGIN, SMALL, Claim
from replication.pages.measures import Difference, Louder, Mean, Ratio, Share, Sooner, early, final

INF = math.inf
BN_HEADS = {"norm": "bn", "aux": "4a+4d"}
DRAWN = ("drawn 1", "drawn 2", "drawn 3")
SINGLE = ("only 1x1", "only 3x3", "only 5x5")
AVERAGE = {"norm": "bn", "head": "average", "dropout": "0.4"}

CLAIMS = (
    # -- the module
    Claim("V1-09", "The share of 3×3 and 5×5 should grow with depth.", "V1 §4", "no number",
          "error where their ratio to 1×1 falls from 4 to 1 less error where it rises from 1 to 4; BN, equal "
          "multiply-adds", "points", (0, INF), "v1.mix", Difference({"mix": "falling"}, {"mix": "rising"})),
    Claim("V1-13", "The exact numbers of filters have a minor influence.", "V1 §5", "relatively minor",
          "mean error of three networks whose counts are drawn within ×0.6 to ×1.4 less error with Table 1's; BN, "
          "equal multiply-adds", "points", (-SMALL, SMALL), "v1.mix", Difference({"mix": DRAWN}, {"mix": "table"})),
    Claim("V1-14", "The original choices are at least locally optimal.", "V1 §3", "no number", "the same", "points",
          (0, INF), "v1.mix", Difference({"mix": DRAWN}, {"mix": "table"})),
    Claim("V1-08b", "At equal cost, modules with reductions are better than naive ones.", "V1 §4 (implied)",
          "no number", "error of naive modules less error of reduced ones; BN, equal multiply-adds", "points", (0, INF),
          "v1.module", Difference({"module": "naive"}, {"module": "reduced"})),
    Claim("V1-08c", "The same where only the reductions are left out.", "V1 §4 (implied)",
          "no number", "error without reductions less error with them; BN, equal multiply-adds", "points", (0, INF),
          "v1.module", Difference({"module": "unreduced"}, {"module": "reduced"})),
    Claim("V1-40a", "Objects of several sizes are seen best at several scales at once.", "V1 §4", "no number",
          "mean error of three networks with kernels of one size each less error with all three in each module; BN, "
          "equal multiply-adds, shapes of several sizes", "points", (0, INF), "v1.scales",
          Difference({"kernels": SINGLE}, {"kernels": "mixed"})),
    Claim("V1-40b", "The same beside 3×3 alone.", "V1 §4", "no number", "error with 3×3 alone less error with all "
          "three; the rest likewise", "points", (0, INF), "v1.scales",
          Difference({"kernels": "only 3x3"}, {"kernels": "mixed"})),
    # -- the head
    Claim("V1-20", "Average pooling in place of a fully connected layer lowers the top-1 error, by about 0.6 points.",
          "V1 §5", "0.6 points", "error with a hidden layer of 1024 in its place less error with the average; BN, "
          "dropout in both, shapes", "points", (0, INF), "v1.head",
          Difference({**AVERAGE, "head": "fc"}, AVERAGE)),
    Claim("V1-20b", "On photographs, too, average pooling in place of a fully connected layer lowers the top-1 error.",
          "V1 §5", "0.6 points", "error with a hidden layer of 1024 in its place less error with the average; BN, "
          "photographs", "points", (0, INF), "v1.ablation", Difference({"form": "average"}, {"form": "whole"})),
    Claim("V1-21", "Dropout remains essential without the fully connected layers.", "V1 §5", "no number",
          "error without dropout before the last layer less error with it; BN, average pooling, shapes", "points",
          (MARGIN, INF), "v1.head", Difference({**AVERAGE, "dropout": "0"}, AVERAGE)),
    Claim("V1-21b", "On photographs, too, dropout remains essential.", "V1 §5", "no number",
          "error without dropout before the last layer less error with it; BN, photographs", "points", (MARGIN, INF),
          "v1.ablation", Difference({"form": "dropout"}, {"form": "whole"})),
    Claim("V1-22", "The extra linear layer after the average has no major effect.", "V1 §5", "no major effect",
          "error of averaged class maps (NIN) less error with the linear layer; BN", "points", (-SMALL, SMALL),
          "v1.head", Difference({**AVERAGE, "head": "nin"}, AVERAGE)),
    Claim("V1-22b", "With the linear layer, networks are easily adapted to other label sets.", "V1 §5", "no number",
          "error of a network trained on other classes, its last layer alone trained again, less error of one trained "
          "from the start, after equally many steps; BN", "points", (-INF, SMALL), "fine",
          Difference({"length": "4", "trained": "last"}, {"length": "4", "trained": "scratch"})),
    # -- auxiliary heads
    Claim("V1-23a", "Auxiliary heads raise the gradient that reaches the early layers (published network).",
          "V1 §5", "no number", "gradient norm at conv1 before training, all heads over the main one; LRN, Caffe's "
          "initialisation", "×", (1, INF), "v1.gradient", Louder({"norm": "lrn", "init": "xavier"})),
    Claim("V1-23b", "The same with batch normalisation.", "V1 §5", "no number",
          "as above; BN, Caffe's initialisation", "×", (1, INF), "v1.gradient",
          Louder({"norm": "bn", "init": "xavier"})),
    Claim("V1-25a", "Auxiliary heads lower the top-1 error by about 0.5 points.", "V1 (CVPR) §5", "0.5 points",
          "error without heads less error with both; published network", "points", (0, SMALL), "v1.aux",
          Difference({"norm": "lrn", "aux": "none"}, {"norm": "lrn", "aux": "4a+4d"})),
    Claim("V1-25b", "One auxiliary head does as well as two.", "V1 (CVPR) §5", "no difference",
          "error with one head (mean of 4a and 4d) less error with both; published network", "points",
          (-INF, MARGIN), "v1.aux", Difference({"norm": "lrn", "aux": ("4a", "4d")}, {"norm": "lrn", "aux": "4a+4d"})),
    Claim("V1-26", "The heads' losses weigh 0.3.", "V1 §5", "0.3", "error with 0.3 less the mean of the errors with "
          "0.1 and 1; BN", "points", (-INF, MARGIN), "v1.weight",
          Difference({"norm": "bn", "init": "he", "weight": "0.3"},
                     {"norm": "bn", "init": "he", "weight": ("0.1", "1")})),
    Claim("V3-13", "Auxiliary heads do not make early training converge faster.", "V3 §4", "no difference",
          "mean error over the first third of training, without heads less with both; BN", "points",
          (-INF, MARGIN), "v1.aux", Difference({"norm": "bn", "aux": "none"}, BN_HEADS, early)),
    Claim("V3-14", "Near the end, the network with heads is slightly better.", "V3 §4", "slightly",
          "error without heads less error with both; BN", "points", (0, INF), "v1.aux",
          Difference({"norm": "bn", "aux": "none"}, BN_HEADS)),
    Claim("V3-14b", "On photographs, too, the network with heads is slightly better.", "V3 §4", "slightly",
          "error without heads less error with both; BN, photographs", "points", (0, INF), "v1.ablation",
          Difference({"form": "heads"}, {"form": "whole"})),
    Claim("V3-15", "Removing the lower head does no harm.", "V3 §4", "no difference",
          "error with 4d alone less error with both; BN", "points", (-INF, MARGIN), "v1.aux",
          Difference({"norm": "bn", "aux": "4d"}, BN_HEADS)),
    # -- training
    Claim("V1-27", "Averaged weights are better for inference than the last ones.", "V1 §6", "no number",
          "error of the last weights less error of the average; BN, the rate lowered by 4 % every 8 epochs", "points",
          (0, INF), "v1.schedule", Difference({"schedule": "steps", "weights": "last"},
                                              {"schedule": "steps", "weights": "average"})),
    Claim("V1-28", "The rate is lowered by 4 % every 8 epochs (and the weights averaged).", "V1 §6", "4 % every 8",
          "error so less error of a rate that falls in a line to zero, last weights; BN, equal epochs", "points",
          (-INF, MARGIN), "v1.schedule", Difference({"schedule": "steps", "weights": "average"},
                                                    {"schedule": "linear", "weights": "last"})),
    Claim("V1-29", "Crops of 8 to 100 % of the image work very well.", "V1 §6", "8 to 100 %",
          "error of mirroring alone less error with such crops too; BN, shapes", "points", (0, INF), "v1.augment",
          Difference({"augment": "flip"}, {"augment": "area"})),
    Claim("V1-30", "Photometric distortions help against overfitting.", "V1 §6", "no number",
          "error of mirroring alone less error with distortions too; BN, shapes", "points", (0, INF), "v1.augment",
          Difference({"augment": "flip"}, {"augment": "photometric"})),
    Claim("V1-31", "Whether resizing in random ways helps could not be told.", "V1 §6", "no number",
          "error with one way of resizing less error with four; BN, shapes", "points", (-SMALL, SMALL), "v1.augment",
          Difference({"augment": "area"}, {"augment": "resize"})),
    # -- batch normalisation
    Claim("BN-1a", "At the same learning rate, batch normalisation needs fewer steps to the same error.", "BN §4.2.2",
          "31.0 M / 13.3 M = 2.3×", "epochs of the published network over epochs of the normalised one, to the "
          "former's last error; equal rates of 0.02", "×", (1, INF), "bn.rate",
          Sooner({"norm": "lrn", "rate": "0.02"}, {"norm": "bn", "rate": "0.02"})),
    Claim("BN-1b", "At five times the rate it needs fewer still.", "BN §4.2.2", "31.0 M / 2.1 M = 15×",
          "mean error over the first third of training of the normalised network, at 0.02 less at 0.1", "points",
          (0, INF), "bn.rate",
          Difference({"norm": "bn", "rate": "0.02"}, {"norm": "bn", "rate": "0.1"}, early)),
    Claim("BN-2a", "Without batch normalisation, five times the rate sends the parameters to infinity.", "BN §4.2.2",
          "machine infinity", "runs of the published network at 0.1 that diverge or stay at chance; no clipping", "%",
          (50, 100), "bn.rate", Share({"norm": "lrn", "rate": "0.1"})),
    Claim("BN-2b", "With it, thirty times the rate trains.", "BN §4.2.2", "74.8 % correct",
          "runs of the normalised network at 0.6 that diverge or stay at chance; no clipping", "%", (0, 50), "bn.rate",
          Share({"norm": "bn", "rate": "0.6"})),
    Claim("BN-3a", "With sigmoids and without batch normalisation the network does not learn.", "BN §4.2.2",
          "0.1 % correct", "runs that diverge or stay at chance", "%", (50, 100), "bn.sigmoid", Share({"norm": "lrn"})),
    Claim("BN-3b", "With sigmoids and batch normalisation it does.", "BN §4.2.2", "69.8 % correct",
          "runs that diverge or stay at chance", "%", (0, 50), "bn.sigmoid", Share({"norm": "bn"})),
    # -- the second paper's training
    Claim("V3-22", "Label smoothing of 0.1 lowers the top-1 error.", "V3 §7", "0.2 points",
          "error without less error with it; GoogLeNet-BN", "points", (0, INF), "v3.smoothing",
          Difference({"smoothing": "0"}, {"smoothing": "0.1"})),
    Claim("V3-24", "Label smoothing keeps the largest logit from running away from the others.", "V3 §7", "no number",
          "mean distance of the largest logit from the mean of the others, without over with it; GoogLeNet-BN", "×",
          (1, INF), "v3.smoothing", Ratio({"smoothing": "0"}, {"smoothing": "0.1"}, final("logit_gap", 1))),
    # Written after its first runs had been published and looked at: its region is the weakest that the sentence allows.
    Claim("V3-24b", "Label smoothing keeps the network from being too confident about its predictions.", "V3 §7",
          "no number", "expected calibration error without less with 0.1, on validation images; GoogLeNet-BN", "points",
          (0, INF), "v3.smoothing", Difference({"smoothing": "0"}, {"smoothing": "0.1"}, final("ece"))),
    Claim("V3-25", "RMSProp with ε = 1 does better than momentum.", "V3 §8, Table 3", "0.3 points",
          "error with SGD less error with RMSProp, at one peak rate; GoogLeNet-BN", "points", (0, INF),
          "v3.rmsprop", Difference({"optimiser": "sgd", "rate": "1"}, {"optimiser": "rmsprop", "rate": "1"})),
    Claim("V3-26a", "Without clipping the gradient, training is unstable.", "V3 §8", "no number",
          "runs that diverge or stay at chance at three times the rate, without clipping; published network", "%",
          (50, 100), "v3.clip", Share({"clip": "None", "rate": "3"})),
    Claim("V3-26b", "Clipping the gradient at 2 makes it stable.", "V3 §8", "2.0", "the same, clipped at a norm of 2",
          "%", (0, 50), "v3.clip", Share({"clip": "2", "rate": "3"})),
    Claim("BN-4a", "With batch normalisation, dropout can be left out.", "BN §4.2.1", "no number",
          "error without dropout before the last layer less error with it; BN, average pooling, shapes", "points",
          (-INF, MARGIN), "v1.head", Difference({**AVERAGE, "dropout": "0"}, AVERAGE)),
    # -- the second paper's principles
    Claim("V3-03", "Representations of more dimensions train faster.", "V3 §2, 2", "no number", "mean error over the "
          "first third of training, last two modules as they are less twice as wide; GoogLeNet-BN", "points", (0, INF),
          "v3.last", Difference({"last": "1"}, {"last": "2"}, early)),
    Claim("V3-04", "Channels can be reduced before they are gathered over space with little loss.", "V3 §2, 3",
          "no number", "error where the 1×1 leave a quarter of the maps that arrive less error where they leave all; "
          "GoogLeNet-BN", "points", (-INF, SMALL), "v3.reductions", Difference({"share": "0.25"}, {"share": "1"})),
    Claim("V3-05", "Width and depth should grow together.", "V3 §2, 4", "no number", "mean error of a deeper and of a "
          "wider network less error of one that is both; GoogLeNet-BN, equal multiply-adds", "points", (0, INF),
          "v3.depth", Difference({"depth": ("half", "double")}, {"depth": "whole"})),
    Claim("V3-08", "Two 3×3 in place of a 5×5 lose no expressive power.", "V3 §3.1", "no loss", "error with the two "
          "less error with the 5×5; GoogLeNet-BN", "points", (-INF, MARGIN), "v3.factor",
          Difference({"form": "root"}, {"form": "5x5"})),
    Claim("V3-09", "A ReLU between the two 3×3 does better than none.", "V3 §3.1, Fig. 2", "77.2 against 76.2 % right",
          "error without less error with it; GoogLeNet-BN", "points", (0, INF), "v3.factor",
          Difference({"form": "linear"}, {"form": "root"})),
    Claim("V3-10", "So do ReLUs after the 1×1 reductions.", "V3 §3.1", "no number", "error without less error with "
          "them; GoogLeNet-BN", "points", (0, INF), "v3.factor",
          Difference({"form": "linear reductions"}, {"form": "root"})),
    Claim("V3-12a", "An n×1 and a 1×n in place of an n×n do badly in early layers.", "V3 §3.2", "no number",
          "error with them on the first grid of the modules less error without; GoogLeNet-BN", "points", (0, INF),
          "v3.asymmetric", Difference({"grid": "first"}, {"grid": "none"})),
    Claim("V3-12b", "On grids of 12 to 20 they do very well.", "V3 §3.2", "12 to 20", "error with them on the second "
          "grid, of 14 or 16, less error without; GoogLeNet-BN, a stem of stride 2", "points", (-INF, MARGIN),
          "v3.asymmetric", Difference({"grid": "second"}, {"grid": "none"})),
    Claim("V3-28c", "At equal cost, images of half the side do nearly as well.", "V3 §9, Table 2",
          "75.2 and 76.4 against 76.6 % right", "error from small images, unreduced by the stem, less error from large "
          "ones; no more than is printed of a quarter of the side, rounded up; GoogLeNet-BN", "points", (-INF, 1.5),
          "v3.small", Difference({"side": "half"}, {"side": "whole"})),
    Claim("V3-29", "Networks for small images train for longer.", "V3 §9", "no number", "epochs of the network for "
          "small images over those of the one for large ones, to the former's last training loss; GoogLeNet-BN", "×",
          (1, INF), "v3.small", Sooner({"side": "half"}, {"side": "whole"}, "train_loss")),
    Claim("V3-30b", "A network that is merely given smaller images does much worse.", "V3 §9", "no number",
          "error of the unchanged network on small images less error of the one whose stem reduces less; GoogLeNet-BN",
          "points", (SMALL, INF), "v3.small", Difference({"side": "naive"}, {"side": "half"})),
    # -- the second paper's network
    Claim("V3-16", "A head with batch normalisation or dropout makes the network better than one without.", "V3 §4",
          "no number", "error with a plain head less mean error with a normalised one and one with dropout; "
          "Inception V3", "points", (0, INF), "v3.heads",
          Difference({"heads": "plain"}, {"heads": ("late", "dropout")})),
    Claim("V3-02", "A bottleneck, where the grid shrinks before the maps widen, does harm.", "V3 §2, 1, and §5",
          "no number", "error with pools before the modules that halve the grid less error with both in parallel; "
          "Inception V3", "points", (0, INF), "v3.reduction",
          Difference({"reduction": "pool first"}, {"reduction": "parallel"})),
    Claim("V3-18d", "The cheap reduction is as good as convolutions before the pools.", "V3 §5", "no number",
          "error with both in parallel less error with convolutions first; Inception V3", "points", (-INF, MARGIN),
          "v3.reduction", Difference({"reduction": "parallel"}, {"reduction": "convolution first"})),
    Claim("V3-17", "Normalising the head's hidden layer too lowers the top-1 error.", "V3 §4, Table 3", "0.4 points",
          "error without less error with it, all else as in Table 3's last two rows", "points", (0, INF), "v3.ladder",
          Difference({"step": "7x7"}, {"step": "bn-aux"})),
    Claim("V3-27", "Averaged weights are better for evaluation than the last ones.", "V3 §8", "no number",
          "error of the last weights less error of the average; Inception V3, the rate lowered by 6 % every 2 epochs",
          "points", (0, INF), "v3.recipe", Difference({"part": "steps"}, {"part": "steps average"})),
    Claim("V3-31b", "Three 3×3 in place of the first 7×7 lower the top-1 error.", "V3 Table 3", "1.2 points",
          "error with the 7×7 less error with the three, all else as in Table 3", "points", (0, INF), "v3.ladder",
          Difference({"step": "smoothing"}, {"step": "7x7"})),
    Claim("V3-32", "The steps of Table 3 together lower the top-1 error.", "V3 Table 3", "2.2 points",
          "error of its Inception-v2 less error of its last row", "points", (0, INF), "v3.ladder",
          Difference({"step": "v2"}, {"step": "bn-aux"})),
    Claim("V3-32b", "BN-Inception does better than GoogLeNet with batch normalisation.", "V3 Table 3", "1.6 points",
          "error of GoogLeNet-BN less error of BN-Inception", "points", (0, INF), "v3.networks",
          Difference({"network": "googlenet"}, {"network": "bn-inception"})),
    Claim("V3-32c", "Inception-v2 does better than BN-Inception.", "V3 Table 3", "1.8 points",
          "error of BN-Inception less error of Table 3's Inception-v2", "points", (0, INF), "v3.networks",
          Difference({"network": "bn-inception"}, {"network": "v2"})),
    Claim("V3-32d", "Inception V3, trained as published, does better than BN-Inception.", "V3 Table 3", "4.0 points",
          "error of BN-Inception less error of Table 3's last row", "points", (0, INF), "v3.networks",
          Difference({"network": "bn-inception"}, {"network": "v3"})),
    # -- the keyword network
    Claim("KWS-3a", "A small network gets 97 % of spoken digits right.", "sound-mnist, which FSDD's readme links to",
          "97 %", "error on FSDD's official test recordings, whose speakers were all trained on", "%", (-INF, 3.5),
          "kws.speakers", Mean({"held": MIXED})),
    Claim("KWS-3b", "Digits of a speaker it has never heard it understands as well.", "popular practice (implied)",
          "no number", "mean error of six speakers, each left out of training in turn, less error of the official "
          "split", "points", (-INF, SMALL), "kws.speakers", Difference({"held": SPEAKERS}, {"held": MIXED})),
)
