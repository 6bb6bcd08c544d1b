"""Serves a model by the real llama.cpp server and sends it several requests at the same time.

    streams.py SIZE SLOTS STREAMS PROMPT OUTPUT

SIZE is `tiny` (3 MB) or `small` (about 150 million parameters: a step takes long enough to be timed).
Prints one JSON object per request, in the order they were sent: times in seconds since the first was
sent, tokens read and generated, and the slot that served it.
"""
import http.client
import json
import os
import sys
import tempfile
import threading
import time

import load

SMALL = {"HIDDEN": 1024, "HEADS": 16, "KV": 4, "DIM": 64, "FFN": 2816, "VOCAB": 8192, "LAYERS": 12}
# Between two requests: long enough that they arrive in this order.
APART = 0.05


def serve(path, slots, context, threads):
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = path
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_ctx = context * slots
    params.n_parallel = slots
    params.kv_unified = False
    params.warmup = False
    params.fit_params = False
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    return xllamacpp.Server(params)


def ask(address, index, prompt, output, began, found):
    connection = http.client.HTTPConnection(address, timeout=120)
    # Every request starts with tokens of its own, so that no cache answers for it.
    tokens = [300 + (index * 37 + position * 11) % 1500 for position in range(prompt)]
    body = {"prompt": tokens, "n_predict": output, "ignore_eos": True, "cache_prompt": False,
            "stream": True, "temperature": 0}
    sent = time.monotonic() - began
    connection.request("POST", "/completion", json.dumps(body), {"Content-Type": "application/json"})
    first = last = None
    for line in connection.getresponse():
        if not line.startswith(b"data: {"):
            continue
        said = json.loads(line[6:])
        now = time.monotonic() - began
        first = now if first is None else first
        last = now
        if said.get("stop"):
            found[index] = {"sent_s": sent, "first_s": first, "end_s": last,
                            "prompt_tokens": said["timings"]["prompt_n"],
                            "output_tokens": said["timings"]["predicted_n"],
                            "slot": said["id_slot"]}
    connection.close()


def main():
    size, slots, streams, prompt, output = sys.argv[1], *map(int, sys.argv[2:])
    if size == "small":
        vars(load).update(SMALL)
    path = os.path.join(tempfile.mkdtemp(), "model.gguf")
    load.make("llama", path)
    threads = os.cpu_count() if size == "small" else 1
    server = serve(path, slots, prompt + output + 16, threads)
    os.remove(path)
    address = server.listening_address.split("//")[-1]
    warm = {}
    ask(address, 0, prompt, 2, time.monotonic(), warm)
    found, threads, began = {}, [], time.monotonic()
    for index in range(streams):
        threads.append(threading.Thread(target=ask, args=(address, index, prompt, output, began, found)))
        threads[-1].start()
        time.sleep(APART)
    for thread in threads:
        thread.join()
    for index in range(streams):
        print(json.dumps(found[index]), flush=True)
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    watch = threading.Timer(300, os._exit, [3])
    watch.daemon = True
    watch.start()
    main()
