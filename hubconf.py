"""`torch.hub.load(".", "googlenet", source="local", num_classes=1000, aux=("4a", "4d"))`, also without installation."""
from replication.models import baselines as _baselines
from replication.models import bn_inception as _bn_inception
from replication.models import googlenet as _googlenet
from replication.models import inception_v3 as _inception_v3
from replication.models import kws as _kws
from replication.models.build import build as _build

dependencies = ["torch"]


def googlenet(num_classes=1000, aux=("4a", "4d"), **kwargs):
    """GoogLeNet as published (arXiv 1409.4842): LRN, no batch normalisation, true 5×5. Freshly initialised.

    num_classes: 2 or more. aux: rows with an auxiliary classifier, "3a" to "5b", () for none.
    kwargs: width, stem, head, dropout, init, resolution (px), large, norm, module, separable, pool1, name; see
    replication.models.googlenet.googlenet.

    In: (N, 3, H, W) floats. Out, in training mode: {"main": (N, num_classes), "4a": ..., "4d": ...}; in evaluation
    mode: (N, num_classes). Raises replication.errors.BadInput, a ValueError, for arguments and images that cannot be.
    """
    return _build(_googlenet.googlenet(classes=num_classes, aux=aux, **kwargs))


def googlenet_bn(num_classes=1000, aux=("4a", "4d"), **kwargs):
    """`googlenet` with batch normalisation after every convolution (as in arXiv 1502.03167) and no LRN.

    Arguments, shapes and errors as for `googlenet`, without `norm`.
    """
    return _build(_googlenet.googlenet_bn(classes=num_classes, aux=aux, **kwargs))


def googlenet_torchvision(num_classes=1000, aux=("4a", "4d"), **kwargs):
    """What torchvision.models.googlenet is; its weights come over with replication.models.torchvision.

    aux: "4a" (torchvision's aux1), "4d" (aux2), both, or (). kwargs: width, stem, resolution (px) and others of
    `googlenet` that it does not fix. Shapes and errors as for `googlenet`.
    """
    return _build(_googlenet.googlenet_torchvision(classes=num_classes, aux=aux, **kwargs))


def inception_v3(num_classes=1000, aux=("6e",), **kwargs):
    """Inception V3 as tf-slim and torchvision have it (arXiv 1512.00567). Freshly initialised.

    num_classes: 2 or more. aux: rows with an auxiliary classifier, "5b" to "7c", () for none; it needs 299 px or, for
    smaller images, resolution= their side. kwargs: width, resolution (px), dropout, init, name; see
    replication.models.inception_v3.inception_v3. Shapes and errors as for `googlenet`.
    """
    return _build(_inception_v3.inception_v3(classes=num_classes, aux=aux, **kwargs))


def inception_v3_paper(num_classes=1000, aux=("6f",), **kwargs):
    """Inception V3 as Table 1 of its paper prints it: another stem, five modules at 17×17 ("6b" to "6f"), no 5×5.

    Arguments, shapes and errors as for `inception_v3`.
    """
    return _build(_inception_v3.inception_v3_paper(classes=num_classes, aux=aux, **kwargs))


def bn_inception(num_classes=1000, aux=(), **kwargs):
    """BN-Inception (arXiv 1502.03167), which tf-slim calls Inception V2, with its separable stem.

    aux: rows with an auxiliary classifier, "3b" to "5c"; the paper prints none. Otherwise as for `inception_v3`.
    """
    return _build(_bn_inception.bn_inception(classes=num_classes, aux=aux, **kwargs))


def alexnet(num_classes=1000, **kwargs):
    """AlexNet as published (Krizhevsky et al. 2012), its two towers as groups, at 227 px.

    kwargs: width, resolution (px), dropout, init, name; see replication.models.baselines.alexnet.
    Shapes, without auxiliary heads, and errors as for `googlenet`.
    """
    return _build(_baselines.alexnet(classes=num_classes, **kwargs))


def lenet5(num_classes=10, **kwargs):
    """LeNet-5 as published (LeCun et al. 1998): ten digits alone, at 32 px of one channel.

    In: (N, 1, 32, 32) floats. Out, in training mode: {"main": (N, 10)}; in evaluation mode: (N, 10). Raises
    replication.errors.BadInput for other classes and images.
    """
    return _build(_baselines.lenet5(classes=num_classes, **kwargs))


def nin(num_classes=10, **kwargs):
    """Network in Network for CIFAR-10 (arXiv 1312.4400), at 32 px.

    kwargs: width, head ("average", "fc" or "fc+dropout"), dropout, resolution (px), init, name; see
    replication.models.baselines.nin. Shapes, without auxiliary heads, and errors as for `googlenet`.
    """
    return _build(_baselines.nin(classes=num_classes, **kwargs))


def kws_inception(num_classes=12, **kwargs):
    """The 30 K keyword-spotting Inception of google-research's kws_streaming. Freshly initialised.

    kwargs: features (30), frames (49), cnn1, cnn1_kernel, filters1, filters2, kernels, strides, dropout, norm, init,
    name; see replication.models.kws.kws_inception.

    In: (N, features, frames, 1) floats. Out, in training mode: {"main": (N, num_classes)}; in evaluation mode:
    (N, num_classes). Errors as for `googlenet`.
    """
    return _build(_kws.kws_inception(classes=num_classes, **kwargs))
