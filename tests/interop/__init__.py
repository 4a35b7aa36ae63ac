"""The networks as other libraries ship them, against ours with equal weights, and ours in other runtimes: by hand,
outside CI.

    python -m tests.interop            # everything, some minutes
    python -m tests.interop Keras      # one library alone: nothing is written
    python -m tests.interop runtimes   # our exports in onnxruntime and OpenVINO alone

Each library runs in a virtual environment of its own with pinned packages, in a temporary folder. It draws its weights,
says what it computes, and hands them over; they are put into our table of that network, as it is and with what the
library does otherwise set. What came of it is `tables/interop-networks.csv` and `tables/interop-runtimes.csv` of your
store, which `make publish` takes over and the page *Differences* shows.
"""
