"""Training: from labelled recordings to a float32 and an int8 model file (torch; extra `train`).

    edgesnn train spikepoint --config examples/train/digits.toml --data DATA --out runs/digits

DATA is a folder with one folder per class (files that `edgesnn.open` reads; `train/` and `test/` above the classes
where the split is given, else a share is kept back by recording), an .npz of recordings, or tonic:NAME. The TOML file
says the input encoding, the network, the loop and the augmentation (`config.py`; every key has a default).

Start reading at `command.py` (what the command does), then `loop.py`. `ranges.py` what the numbers of the TOML file may
be, `checkpoint.py` the file between two runs, `datasets.py` recordings, `windows.py` windows of them, `augment.py`,
`features.py` batches with the runtime's bits, `calibrate.py` the readout of the model file, `zoo/` what builds the
shipped models.
May import models, quantize, pipeline, runtime, graph, encode, events; never cli.
"""
