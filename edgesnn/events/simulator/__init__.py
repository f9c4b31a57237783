"""An event camera looking at people who make gestures, simulated in numpy from a seed.

Start reading at `clips.py` (a seed becomes a recording). `gestures.py` says what the people do (`body.py`: joints and
arms, `motion.py`: rhythm), `scene.py` paints them (`draw.py`), `pixels.py` is the camera (`noise.py`: what it sees in a
still scene), `__main__.py` writes folders of recordings:

    python -m edgesnn.events.simulator --out DIR --classes all --count 20 --seed 1 --split train
"""
