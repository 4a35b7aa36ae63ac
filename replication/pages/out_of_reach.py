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
    Claim("V1-11a", "Networks of such modules are 2 to 3 times faster than others that do as well.", "V1 (arXiv) §4",
          "2 to 3×", "images a second, GoogLeNet over a plain stack of convolutions with the same error", "×", (2, 3),
          None, None, awaits="a plain network trained to GoogLeNet's error"),
    Claim("V1-11b", "They are 3 to 10 times faster.", "V1 (CVPR) §4", "3 to 10×", "the same", "×", (3, 10), None, None,
          awaits="a plain network trained to GoogLeNet's error"),
    Claim("V1-38", "Six networks detect objects with 43.9 % mean average precision.", "V1 §8", "43.9 %", "mean average "
          "precision", "%", (43.85, 43.95), None, None, why="Detection needs its own images of ImageNet, region "
          "proposals and networks trained on all of ImageNet before."),
    # -- the second paper
    Claim("V3-21", "Quality is stable under variations that keep to the four principles.", "V3 §6", "no number",
          "mean error of three networks whose counts are drawn within ×0.6 to ×1.4 less error of Inception V3, equal "
          "multiply-adds", "points", (-SMALL, SMALL), None, None, awaits="variations of V3's modules; V1-13 tells of "
          "V1's"),
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
