"""For subscribers in Python: iterate over a line's messages, each once and in order, and know what is gone.

    with Subscriber("tcp://127.0.0.1:5600", kinds=["verdict"]) as subscriber:
        for item in subscriber:
            if isinstance(item, Gone):
                print(f"{item.count} message(s) of {item.topic} are gone")
            else:
                print(item.camera, item.frame, item.verdict)

`AsyncSubscriber` is the same for asyncio. Nothing of the daemon is imported, only what reads its messages.
"""

from inspector.client.asynchronous import AsyncSubscriber
from inspector.client.subscriber import Subscriber
from inspector.messages import Gone

__all__ = ["AsyncSubscriber", "Gone", "Subscriber"]
