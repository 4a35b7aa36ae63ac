"""What the process that others are forked from imports: all that training and `python -m replication gpu` need."""
from replication.benchmarks import stages  # noqa: F401
from replication.training import distributed, loop, pace  # noqa: F401

distributed.fabric("cpu")
