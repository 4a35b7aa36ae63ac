"""What the process that others are forked from imports: all that training needs."""
from replication.training import distributed, loop  # noqa: F401

distributed.fabric("cpu")
