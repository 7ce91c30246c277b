"""Follow a line with inspector's own client: verdicts, masks, repaired frames, and what nobody can have any more.

python examples/subscribe_client.py tcp://127.0.0.1:5600 [NUMBER OF VERDICTS]

Whole repaired frames can be made here only if the daemon sends the captured ones: publish.source = "png".
"""

import sys

from inspector.client import Gone, Subscriber
from inspector.messages import EventMessage, ResultMessage, VerdictMessage

endpoint = sys.argv[1]
count = int(sys.argv[2]) if len(sys.argv) > 2 else sys.maxsize

with Subscriber(endpoint) as subscriber:
    for message in subscriber:
        if isinstance(message, VerdictMessage):
            print(f"{message.camera} frame {message.frame}: {message.verdict} {message.reason or ''}")
            count -= 1
        elif isinstance(message, ResultMessage):
            print(f"  {(message.mask() > 0).sum()} defective pixels, {len(message.patches())} repaired piece(s)")
            if message.source() is not None:
                print(f"  repaired frame of shape {message.repaired().shape}, residual score {message.residual}")
        elif isinstance(message, EventMessage):
            print(f"{message.event.subject} is {message.event.state}: {message.event.detail}")
        elif isinstance(message, Gone):
            print(f"{message.count} message(s) of {message.topic} are gone")
        if count == 0:
            break
    print(f"{subscriber.missing.total()} message(s) missing")
