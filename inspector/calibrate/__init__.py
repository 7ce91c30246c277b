"""`inspector calibrate`: a threshold with a guarantee, from good pictures that the bundle has not seen.

    session.py    which pictures: folders, data sets, or frames of any source that the daemon knows
    live.py       live sources, read as fast as they give frames
    critical.py   a picture's critical threshold under the daemon's own rule
    conformal.py  order statistics and exact intervals
    choose.py     threshold and min_area for a wished rate
    calibrate.py  from pictures to the file that the daemon reads

The daemon never imports it; it needs scipy and tomli-w (the extra `train`), but no torch.
"""
