"""Makes the model files of these tests with the PyPI packages `gguf` and `numpy`.

    python3 -m venv v && v/bin/pip install gguf numpy && v/bin/python make.py
"""
import json, os, struct
import gguf, numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
HIDDEN, HEADS, KV, DIM, FFN, VOCAB, LAYERS = 64, 2, 1, 32, 96, 300, 2


def shapes():
    yield "token_embd.weight", (VOCAB, HIDDEN)
    yield "output_norm.weight", (HIDDEN,)
    for i in range(LAYERS):
        b = f"blk.{i}."
        yield b + "attn_norm.weight", (HIDDEN,)
        yield b + "ffn_norm.weight", (HIDDEN,)
        yield b + "attn_q.weight", (HEADS * DIM, HIDDEN)
        yield b + "attn_k.weight", (KV * DIM, HIDDEN)
        yield b + "attn_v.weight", (KV * DIM, HIDDEN)
        yield b + "attn_output.weight", (HIDDEN, HEADS * DIM)
        yield b + "ffn_gate.weight", (FFN, HIDDEN)
        yield b + "ffn_down.weight", (HIDDEN, FFN)
        yield b + "ffn_up.weight", (FFN, HIDDEN)


def write(name, **split):
    w = gguf.GGUFWriter(os.path.join(HERE, name), "llama", **split)
    w.add_name("Tiny"); w.add_block_count(LAYERS); w.add_context_length(2048)
    w.add_embedding_length(HIDDEN); w.add_feed_forward_length(FFN)
    w.add_head_count(HEADS); w.add_head_count_kv(KV); w.add_key_length(DIM); w.add_value_length(DIM)
    w.add_layer_norm_rms_eps(1e-5); w.add_vocab_size(VOCAB); w.add_file_type(7)
    w.add_tokenizer_model("no_vocab"); w.add_token_list([f"t{i}" for i in range(5000)])
    for tensor, shape in shapes():
        data = np.zeros(shape, dtype=np.float32)
        if len(shape) == 1:
            w.add_tensor(tensor, data)
        else:
            q = gguf.quants.quantize(data, gguf.GGMLQuantizationType.Q8_0)
            w.add_tensor(tensor, q, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    w.write_header_to_file(); w.write_kv_data_to_file(); w.write_tensors_to_file(); w.close()


write("tiny.gguf")
write("split.gguf", split_max_tensors=12)
header, at = {"__metadata__": {"format": "pt"}}, 0
for name, shape in [("model.embed_tokens.weight", [VOCAB, HIDDEN]), ("model.norm.weight", [HIDDEN])]:
    size = 2 * int(np.prod(shape))
    header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + size]}
    at += size
text = json.dumps(header).encode()
with open(os.path.join(HERE, "tiny.safetensors"), "wb") as f:
    f.write(struct.pack("<Q", len(text)) + text + b"\0" * at)
