"""The claims that nothing here settles: not yet, and what each waits for, or never, and why.

Quantities and regions stand here all the same, written before anything could be measured.
"""
from __future__ import annotations

import math

from replication.pages.claim import MARGIN, SMALL, Claim

INF = math.inf
IMAGENET = ("It is a number on ImageNet's images, which are not free to be had, and whose training takes more than a "
            "day of a GPU.")

CLAIMS = (
    # -- the first paper
    Claim("V1-10", "What correlates lies close together in early layers and further apart in late ones.", "V1 §4",
          "no number", "share of the map's side over which a channel's correlation with itself halves, last module "
          "over first; trained network", "×", (1, INF), None, None, awaits="correlations over positions, measured in a "
          "trained network"),
    Claim("V1-11a", "Networks of such modules are 2 to 3 times faster than others that do as well.", "V1 (arXiv) §4",
          "2 to 3×", "images a second, GoogLeNet over a plain stack of convolutions with the same error", "×", (2, 3),
          None, None, awaits="a plain network trained to GoogLeNet's error"),
    Claim("V1-11b", "They are 3 to 10 times faster.", "V1 (CVPR) §4", "3 to 10×", "the same", "×", (3, 10), None, None,
          awaits="a plain network trained to GoogLeNet's error"),
    Claim("V1-12", "Sparse arithmetic does not pay even where it does a hundredth of the operations.", "V1 §3", "100×",
          "time of a matrix product with 1 % of the weights, stored sparsely, over that of the dense one", "×",
          (1, INF), None, None, awaits="a timing of both products"),
    Claim("V1-38", "Six networks detect objects with 43.9 % mean average precision.", "V1 §8", "43.9 %", "mean average "
          "precision", "%", (43.85, 43.95), None, None, why="Detection needs its own images of ImageNet, region "
          "proposals and networks trained on all of ImageNet before."),
    # -- the second paper
    Claim("V3-03", "Representations of more dimensions train faster.", "V3 §2, 2", "no number", "mean error over the "
          "first third of training, last modules as they are less twice as wide", "points", (0, INF), None, None,
          awaits="a study of the last modules' width"),
    Claim("V3-04", "Channels can be reduced before they are gathered over space with little loss.", "V3 §2, 3",
          "no number", "error with half as wide reductions less error with Table 1's; GoogLeNet-BN", "points",
          (-INF, SMALL), None, None, awaits="a study of how far reductions may go"),
    Claim("V3-05", "Width and depth should grow together.", "V3 §2, 4", "no number", "mean error of a deeper and of a "
          "wider network less error of one that is both; equal multiply-adds", "points", (0, INF), None, None,
          awaits="a study of depth against width"),
    Claim("V3-08", "Two 3×3 in place of a 5×5 lose no expressive power.", "V3 §3.1", "no loss", "error with the two "
          "less error with the 5×5; GoogLeNet-BN", "points", (-INF, MARGIN), None, None, awaits="a study of factorised "
          "modules"),
    Claim("V3-09", "A ReLU between the two 3×3 does better than none.", "V3 §3.1, Fig. 2", "77.2 against 76.2 % right",
          "error without less error with it; GoogLeNet-BN", "points", (0, INF), None, None, awaits="a study of "
          "factorised modules"),
    Claim("V3-10", "So do ReLUs after the 1×1 reductions.", "V3 §3.1", "no number", "error without less error with "
          "them; GoogLeNet-BN", "points", (0, INF), None, None, awaits="a study of factorised modules"),
    Claim("V3-12a", "An n×1 and a 1×n in place of an n×n do badly in early layers.", "V3 §3.2", "no number",
          "error with them on the first grid of the modules less error without; GoogLeNet-BN", "points", (0, INF), None,
          None, awaits="a study of factorised modules"),
    Claim("V3-12b", "On grids of 12 to 20 they do very well.", "V3 §3.2", "12 to 20", "error with them on a grid of 14 "
          "or 16 less error without; GoogLeNet-BN", "points", (-INF, MARGIN), None, None, awaits="a study of "
          "factorised modules"),
    Claim("V3-16", "A head with batch normalisation or dropout makes the network better than one without.", "V3 §4",
          "no number", "error with a plain head less mean error with a normalised one and one with dropout", "points",
          (0, INF), None, None, awaits="a study of what is in a head"),
    Claim("V3-21", "Quality is stable under variations that keep to the four principles.", "V3 §6", "no number",
          "mean error of three networks whose counts are drawn within ×0.6 to ×1.4 less error of Inception V3, equal "
          "multiply-adds", "points", (-SMALL, SMALL), None, None, awaits="variations of V3's modules; V1-13 tells of "
          "V1's"),
    Claim("V3-28c", "At equal cost, images of a quarter of the side do nearly as well.", "V3 §9, Table 2",
          "75.2 against 76.6 % right", "error from small images, unreduced by the stem, less error from large ones; no "
          "more than is printed, rounded up", "points", (-INF, 1.5), None, None, awaits="a study of strides and "
          "resolution"),
    Claim("V3-29", "Networks for small images train for longer.", "V3 §9", "no number", "epochs to the same training "
          "loss, small images over large ones", "×", (1, INF), None, None, awaits="a study of strides and resolution"),
    Claim("V3-30b", "A network that is merely given smaller images does much worse.", "V3 §9", "no number",
          "error of the unchanged network on small images less error of the one whose stem reduces less", "points",
          (SMALL, INF), None, None, awaits="a study of strides and resolution"),
    Claim("V3-33", "Four networks and 144 crops bring the top-5 error to 3.58 %.", "V3 Tables 4 and 5", "3.58 %",
          "top-5 error", "%", (3.575, 3.585), None, None,
          why=f"{IMAGENET} V1-32 and V1-33 tell what crops and ensembles bring here."),
    Claim("V3-34", "Leaving out the images whose labels are doubtful changes the top-1 error by about 0.2 points.",
          "V3 §10", "0.2 points", "error on all 50,000 images less error on 48,238", "points", (0.15, 0.25), None, None,
          why=IMAGENET),
    # -- relatives
    Claim("NIN-1a", "Network in Network errs on 10.41 % of CIFAR-10.", "NIN Table 1", "10.41 %", "error", "%",
          (10.41 - MARGIN, 10.41 + MARGIN), None, None, awaits="Network in Network, trained as published"),
    Claim("NIN-1b", "With shifts and mirroring on 8.81 %.", "NIN Table 1", "8.81 %", "error", "%",
          (8.81 - MARGIN, 8.81 + MARGIN), None, None, awaits="Network in Network, trained as published"),
    Claim("NIN-2", "It errs on 35.68 % of CIFAR-100 (and does as well on SVHN and MNIST).", "NIN Tables 2 to 4",
          "35.68 %", "error on CIFAR-100", "%", (35.68 - MARGIN, 35.68 + MARGIN), None, None, awaits="Network in "
          "Network, trained as published"),
    Claim("NIN-3", "Averaging class maps does better than a fully connected layer in their place.", "NIN Table 5",
          "10.41 against 11.59 % (quoted from memory)", "error with the layer less error with the average", "points",
          (0, INF), None, None, awaits="Network in Network, with its three heads"),
    Claim("NIN-4", "The averaged maps show where the object of their class is.", "NIN §4.6", "no number",
          "validation images whose map of the right class is largest inside the object", "%", (50, 100), None, None,
          awaits="the class maps of a trained network"),
    Claim("AR-1", "A random sparse network can be learnt layer by layer from correlations.", "Arora et al., abstract",
          "no number", "edges of a random layer found again from pairwise correlations of what it gives", "%",
          (95, 100), None, None, awaits="random sparse layers and their correlations"),
    Claim("AR-2", "Two neighbouring layers form a denoising autoencoder.", "Arora et al., abstract", "no number",
          "units of the hidden layer found again by the transposed weights and a threshold", "%", (95, 100), None, None,
          awaits="random sparse layers and their correlations"),
    Claim("AR-3", "Such a network cannot in general be replaced by one of fewer layers.", "Arora et al., abstract",
          "no number", "outputs of two random layers that one layer, fitted to them, gives right", "%", (0, 95), None,
          None, awaits="random sparse layers and their correlations"),
    Claim("AR-4", "Inception approximates the sparse structure that such a construction finds (V1 calls this "
          "speculative).", "V1 §3", "no number", "adjusted Rand index of a module's branches and of its channels, "
          "clustered by correlation", "index", (0.2, 1), None, None, awaits="correlations of channels in a trained "
          "network"),
    Claim("BN-4b", "Images in fresh company in every batch bring about one point.", "BN §4.2.1", "about 1 %",
          "error with the same batches in every epoch less error with fresh ones; GoogLeNet-BN", "points", (0, INF),
          None, None, awaits="a study of how batches are drawn"),
    Claim("BN-5", "Six networks bring the top-5 error to 4.9 %.", "BN Fig. 4", "4.9 %", "top-5 error", "%",
          (4.85, 4.95), None, None, why=IMAGENET),
    Claim("KWS-1b", "It gets 95.9 % of twelve keywords right.", "Google's kws_streaming", "95.9 %", "right of Speech "
          "Commands V2, twelve labels", "%", (95.4, 96.4), None, None, awaits="80,000 steps on the whole of Speech "
          "Commands"),
    Claim("KWS-2", "Of networks of its size it does best.", "Google's kws_streaming", "95.9 against 91.1 to 95.8 %",
          "error of the best of seven others less its own", "points", (0, INF), None, None, awaits="seven other "
          "networks of 30,000 weights"),
)
