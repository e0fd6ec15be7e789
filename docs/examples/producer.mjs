// Push a batch and wait until it is durable: zeromq.js and @msgpack/msgpack, nothing else.
import { decode, encode } from "@msgpack/msgpack";
import { Push, Request } from "zeromq";

const [ingest = "tcp://127.0.0.1:7878", query = "tcp://127.0.0.1:7879"] = process.argv.slice(2);
const push = new Push({ linger: 0 });
const ask = new Request({ linger: 0, receiveTimeout: 5000 }); // one that got no answer is made anew
push.connect(ingest);
ask.connect(query);

// Times are nanoseconds and beyond 2^53, so they are BigInts.
const packed = (message) => encode(message, { useBigInt64: true });
const now = BigInt(Date.now()) * 1000000n;
const me = { producer: "example-js", epoch: now }; // a new incarnation each run
const batch = {
  v: 1, ...me, seq: 1,
  points: [['window.open{room="12"}', now, true]],
  rows: [["lamp", { room: "12" }, now, { watts: 7.5, hours: 1200 }]],
};
for (let attempt = 0; attempt < 5; attempt++) { // sent again until acknowledged: a duplicate has no effect
  await push.send(packed(batch));
  await ask.send(packed({ op: "ack", ...me, seq: 1, wait_ms: 1000 }));
  const [frame] = await ask.receive();
  const ack = decode(frame);
  if (ack.state === "ok") {
    console.log("durable:", ack.durable, "rejects:", ack.rejects.length);
    process.exit(0);
  }
  console.error("not yet:", ack.state);
}
process.exit(1);
