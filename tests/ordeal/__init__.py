"""What people bring and what can go wrong, tried for half an hour: by hand, outside CI.

    python -m tests.ordeal                     # everything
    python tests/ordeal kills crowd            # these parts alone
    python tests/ordeal --share 0.1            # a tenth of the cases and of the time: no measurement

Each part prints a line a kind of case and writes `tables/ordeal-<part>.csv` of your store (`-quick` where the share is
not 1), which `make publish` takes over and the page *How it was tested* shows. Nothing but the registry of packages,
where a part resolves environments, is asked over a network; servers are this machine's own.
"""
