"""Training of token models: from a text file to a float32 and an int8 model file (torch; extra `train`).

    edgesnn train spikegpt --data TEXT --out runs/text
    edgesnn train head --base runs/text/model.safetensors --data LABELLED --out runs/head

Start reading at `command.py`, then `loop.py`. `config.py` the TOML file, `corpus.py` the text and its tokenizer,
`measure.py` bits per character, `ngram.py` the baseline. A head on a finished model: `head.py`, `labelled.py`.
"""
