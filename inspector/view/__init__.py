"""The page to look at a line with: an ordinary subscriber, and a small server for browsers (extra `view`).

    daemon -> subscriber -> State -> what each browser lacks -> browser

It only reads. A browser asks for each update when it begins to draw the one before, so that a slow one gets the newest
state and never a queue.
"""
