"""What builds the shipped models and their cards from training runs: `python -m edgesnn.train.zoo digits|gestures`.

`digits.py` and `gestures.py` measure (all figures through the runtime, on the files that are written), `digits_card.py`
and `gestures_card.py` put the figures into words; `common.py` and `words.py` are what the two share. `recheck.py`
measures a shipped file again, on other recordings, and writes that into its card.
"""
