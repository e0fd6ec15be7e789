"""Push a batch and wait until it is durable: pyzmq and msgpack, nothing else."""
import sys, time
import msgpack, zmq

ingest, query = (sys.argv[1:] + ["tcp://127.0.0.1:7878", "tcp://127.0.0.1:7879"])[:2]
context = zmq.Context()
push, ask = context.socket(zmq.PUSH), context.socket(zmq.REQ)
push.connect(ingest)
ask.connect(query)
ask.rcvtimeo = 5000  # a REQ that got no answer is closed and made anew

me = {"producer": "example-py", "epoch": time.time_ns()}  # a new incarnation each run
now = time.time_ns()
batch = {"v": 1, **me, "seq": 1,
         "points": [['door.open{room="12"}', now, True]],
         "rows": [["cpu", {"host": "a"}, now, {"user": 12, "system": 3.5}]],
         "series": [["ramp", {"start": now, "step": 10**9}, [1, 2, 3]]]}
for attempt in range(5):  # sent again until it is acknowledged: a duplicate has no effect
    push.send(msgpack.packb(batch))
    ask.send(msgpack.packb({"op": "ack", **me, "seq": 1, "wait_ms": 1000}))
    ack = msgpack.unpackb(ask.recv())
    if ack["state"] == "ok":
        sys.exit(print("durable:", ack["durable"], "rejects:", ack["rejects"]))
sys.exit("not acknowledged: %s" % ack)
