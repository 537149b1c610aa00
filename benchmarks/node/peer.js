// The TypeScript library as a contestant: it does the batches that it is told on stdin, a line of JSON each, and answers in the same way.
// Only the calls are timed, with as many awaits as on the other side.

import { createInterface } from "node:readline";
import { performance } from "node:perf_hooks";
import { IgniterStore } from "@igniter-js/store";
import { IgniterStoreRedisAdapter } from "@igniter-js/store/adapters";
import { Redis } from "ioredis";

const [url, service, pipelining] = process.argv.slice(2);
const redis = new Redis(url, { enableAutoPipelining: pipelining === "pipelining" });
const store = IgniterStore.create().withAdapter(IgniterStoreRedisAdapter.create({ redis })).withService(service).build();

const calls = {
  get: (key) => store.kv.get(key),
  set: (key, value) => store.kv.set(key, value),
  increment: (key) => store.counter.increment(key),
  publish: (key, value) => store.events.publish(key, value),
  batch: (key, value, keys) => store.batch.get(keys),
};

async function caller(call, keys, value, many) {
  const answers = [];
  for (const key of keys) {
    answers.push(await call(key, value, many));
  }
  return answers;
}

for await (const line of createInterface({ input: process.stdin })) {
  const { operation, batch, value, many } = JSON.parse(line);
  const call = calls[operation];
  const began = performance.now();
  const answers = await Promise.all(batch.map((keys) => caller(call, keys, value, many)));
  const seconds = (performance.now() - began) / 1000;
  // Answers are compared on the other side; what a write answers differs from library to library.
  const told = operation === "get" || operation === "batch" || operation === "increment" ? answers : null;
  process.stdout.write(JSON.stringify({ seconds, answers: told }) + "\n");
}
redis.disconnect();
