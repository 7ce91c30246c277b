"""Follow a line with nothing but pyzmq: what a subscriber in any language has to do. docs/wire.md tells the format.

python examples/subscribe.py tcp://127.0.0.1:5600 [NUMBER OF VERDICTS]
"""

import json
import sys

import zmq

endpoint = sys.argv[1]
count = int(sys.argv[2]) if len(sys.argv) > 2 else sys.maxsize

socket = zmq.Context.instance().socket(zmq.SUB)
socket.connect(endpoint)
for prefix in ("verdict/", "result/", "event/", "beat/"):
    socket.subscribe(prefix)

session = None
last = {}  # topic -> the sequence of its last message


def expect(topic: str, sequence: int) -> None:
    """All up to `sequence` should have come by now; whoever comes late begins with what he hears first."""
    missing = sequence - last.get(topic, sequence)
    if missing > 0:
        print(f"{missing} message(s) of {topic} were lost")
    last[topic] = sequence


while count > 0:
    topic, header, *payloads = socket.recv_multipart()
    topic, header = topic.decode(), json.loads(header)
    if header["version"].split(".")[0] != "1":
        print(f"skipped a message of version {header['version']}")
        continue
    if header["session"] != session:
        session = header["session"]
        last.clear()

    if header["kind"] == "beat":
        for known, sequence in header["sequences"].items():
            expect(known, sequence)
        continue

    expect(topic, header["sequence"] - 1)
    last[topic] = header["sequence"]
    if header["kind"] == "verdict":
        print(f"{header['camera']} frame {header['frame']}: {header['verdict']} {header['reason'] or ''}")
        count -= 1
    elif header["kind"] == "result":
        for described, payload in zip(header["payloads"], payloads, strict=True):
            print(f"  {described['name']} as {described['codec']}, {len(payload)} bytes, {described.get('box', '')}")
    elif header["kind"] == "event":
        print(f"{header['subject']} is {header['state']}: {header['detail']}")
