"""The page to look at a line with: an ordinary subscriber, and a small server for browsers (extra `view`).

    daemon -> subscriber -> State -> what each browser lacks -> browser

It only reads. A browser asks for the next update when it has drawn the last one, so that a slow one gets the newest
state and never a queue.
"""
