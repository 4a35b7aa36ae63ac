"""GoogLeNet and Inception V3, replicated."""

__version__ = "0.1.0"
