"""Makes a tiny real model of a family and loads it in llama.cpp, which prints what it takes.

    load.py FAMILY FILE CONTEXT SLOTS

The weights are random; names, shapes and types are those a converter writes.
"""
import os
import sys
import threading

import gguf
import numpy as np

HIDDEN, HEADS, KV, DIM, FFN, VOCAB, LAYERS, EXPERTS, EXPERT_FFN = 256, 4, 2, 64, 512, 2048, 6, 8, 128
RANDOM = np.random.default_rng(0)


def blocks(family):
    yield "token_embd.weight", (VOCAB, HIDDEN)
    yield "output_norm.weight", (HIDDEN,)
    if family == "llama":
        yield "output.weight", (VOCAB, HIDDEN)
    for layer in range(LAYERS):
        at = f"blk.{layer}."
        norms = ["attn_norm", "ffn_norm"]
        norms += ["post_attention_norm", "post_ffw_norm"] if family == "gemma3" else []
        for norm in norms:
            yield f"{at}{norm}.weight", (HIDDEN,)
        if family != "llama":
            yield at + "attn_q_norm.weight", (DIM,)
            yield at + "attn_k_norm.weight", (DIM,)
        yield at + "attn_q.weight", (HEADS * DIM, HIDDEN)
        yield at + "attn_k.weight", (KV * DIM, HIDDEN)
        yield at + "attn_v.weight", (KV * DIM, HIDDEN)
        yield at + "attn_output.weight", (HIDDEN, HEADS * DIM)
        if family == "qwen3moe":
            yield at + "ffn_gate_inp.weight", (EXPERTS, HIDDEN)
            yield at + "ffn_gate_exps.weight", (EXPERTS, EXPERT_FFN, HIDDEN)
            yield at + "ffn_down_exps.weight", (EXPERTS, HIDDEN, EXPERT_FFN)
            yield at + "ffn_up_exps.weight", (EXPERTS, EXPERT_FFN, HIDDEN)
        else:
            yield at + "ffn_gate.weight", (FFN, HIDDEN)
            yield at + "ffn_down.weight", (HIDDEN, FFN)
            yield at + "ffn_up.weight", (FFN, HIDDEN)


def tokenizer(writer):
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    kinds = [2, 3, 3] + [6] * 256
    tokens += [f"▁w{index}" for index in range(VOCAB - len(tokens))]
    kinds += [1] * (VOCAB - len(kinds))
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_scores([-float(index) for index in range(VOCAB)])
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)


def make(family, path):
    writer = gguf.GGUFWriter(path, family)
    writer.add_name(f"tiny {family}")
    writer.add_block_count(LAYERS)
    writer.add_context_length(32768)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV)
    writer.add_key_length(DIM)
    writer.add_value_length(DIM)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(DIM)
    writer.add_vocab_size(VOCAB)
    if family == "gemma3":
        writer.add_sliding_window(512)
    if family == "qwen3moe":
        writer.add_expert_count(EXPERTS)
        writer.add_expert_used_count(2)
        writer.add_expert_feed_forward_length(EXPERT_FFN)
    tokenizer(writer)
    kind = gguf.GGMLQuantizationType.Q8_0
    for name, shape in blocks(family):
        data = RANDOM.standard_normal(shape, dtype=np.float32) * 0.02
        if len(shape) == 1 or name.endswith("ffn_gate_inp.weight"):
            writer.add_tensor(name, data)
        else:
            writer.add_tensor(name, gguf.quants.quantize(data, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def load(path, context, slots):
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = path
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_ctx = context
    params.n_parallel = slots
    params.kv_unified = True
    params.warmup = False
    params.fit_params = False
    # Weights as they are in the file, not repacked for the processor at hand.
    params.no_extra_bufts = True
    params.verbosity = 6
    server = xllamacpp.Server(params)
    print(f"LOADED {server.listening_address}", flush=True)
    # The server's threads need no farewell; waiting for them can last for ever.
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    # An engine that hangs fails the test instead of holding it up.
    watch = threading.Timer(90, os._exit, [3])
    watch.daemon = True
    watch.start()
    make(sys.argv[1], sys.argv[2])
    load(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
