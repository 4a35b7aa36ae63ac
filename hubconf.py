"""`torch.hub.load(".", "googlenet", source="local", num_classes=1000, aux=("4a", "4d"))`, also without installation."""
from replication import inception as _inception
from replication import zoo as _zoo

dependencies = ["torch"]


def googlenet(num_classes=1000, aux=("4a", "4d"), **kwargs):
    """GoogLeNet as published (arXiv 1409.4842): LRN, no batch normalisation, true 5×5. Freshly initialised.

    num_classes: 2 or more. aux: rows with an auxiliary classifier, "3a" to "5b", () for none.
    kwargs: width, stem, head, dropout, init, resolution (px), large, norm, name; see replication.zoo.googlenet.

    In: (N, 3, H, W) floats. Out, in training mode: {"main": (N, num_classes), "4a": ..., "4d": ...}; in evaluation
    mode: (N, num_classes). Raises replication.errors.BadInput, a ValueError, for arguments and images that cannot be.
    """
    return _inception.build(_zoo.googlenet(classes=num_classes, aux=aux, **kwargs))


def googlenet_bn(num_classes=1000, aux=("4a", "4d"), **kwargs):
    """`googlenet` with batch normalisation after every convolution (as in arXiv 1502.03167) and no LRN.

    Arguments, shapes and errors as for `googlenet`, without `norm`.
    """
    return _inception.build(_zoo.googlenet_bn(classes=num_classes, aux=aux, **kwargs))
