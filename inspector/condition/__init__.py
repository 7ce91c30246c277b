"""Whether a camera is well: whether it delivers, and whether its pictures can be judged. All of it is pure.

presence.py  its state: connecting, waiting, streaming, stalled, frozen, lost, ended
checks.py    the table of checks
view.py      the small grey version of a picture that they look at
measure.py   a frame's values
limits.py    which values are healthy
monitor.py   both for one camera, frame by frame
learn.py     limits from healthy frames, for `inspector calibrate`
"""
