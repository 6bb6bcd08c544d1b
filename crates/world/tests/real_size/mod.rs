//! A GGUF file as large as real ones: the header of a mixture of 94 layers with a vocabulary of
//! 151,936 tokens, 60 GB of data as a hole.

use std::io::Write as _;
use std::path::Path;

/// Tokens of the vocabulary, and merges of its tokenizer.
const VOCABULARY: u64 = 151_936;

/// Layers, and bytes of data of each tensor: 752 of them are 60 GB.
const LAYERS: u64 = 94;
const TENSOR_BYTES: u64 = 79_789_824;

/// Names of a layer's tensors.
const TENSORS: [&str; 8] = [
    "attn_norm",
    "attn_q",
    "attn_k",
    "attn_v",
    "attn_output",
    "ffn_up_exps",
    "ffn_gate_exps",
    "ffn_down_exps",
];

/// Writes the file and returns the length of its header.
pub(crate) fn write(path: &Path) -> std::io::Result<u64> {
    let mut header = b"GGUF\x03\0\0\0".to_vec();
    let text = |header: &mut Vec<u8>, text: &str| {
        header.extend((text.len() as u64).to_le_bytes());
        header.extend(text.as_bytes());
    };
    let tensors = LAYERS * TENSORS.len() as u64;
    header.extend(tensors.to_le_bytes());
    header.extend(5_u64.to_le_bytes());
    text(&mut header, "general.architecture");
    header.extend(8_u32.to_le_bytes());
    text(&mut header, "qwen3moe");
    text(&mut header, "qwen3moe.block_count");
    header.extend(4_u32.to_le_bytes());
    header.extend((LAYERS as u32).to_le_bytes());
    for (key, word) in [("tokenizer.ggml.tokens", "Ġtoken"), ("tokenizer.ggml.merges", "Ġto ken")]
    {
        text(&mut header, key);
        header.extend(9_u32.to_le_bytes());
        header.extend(8_u32.to_le_bytes());
        header.extend(VOCABULARY.to_le_bytes());
        for index in 0..VOCABULARY {
            text(&mut header, &format!("{word}{index}"));
        }
    }
    text(&mut header, "tokenizer.ggml.token_type");
    header.extend(9_u32.to_le_bytes());
    header.extend(5_u32.to_le_bytes());
    header.extend(VOCABULARY.to_le_bytes());
    header.resize(header.len() + 4 * VOCABULARY as usize, 1);
    for index in 0..tensors {
        let (layer, name) = (index / 8, TENSORS[(index % 8) as usize]);
        text(&mut header, &format!("blk.{layer}.{name}.weight"));
        header.extend(2_u32.to_le_bytes());
        // Q4_K: 256 weights in 144 bytes.
        header.extend(4096_u64.to_le_bytes());
        header.extend((TENSOR_BYTES / 144 * 256 / 4096).to_le_bytes());
        header.extend(12_u32.to_le_bytes());
        header.extend((index * TENSOR_BYTES).to_le_bytes());
    }
    header.resize(header.len().next_multiple_of(32), 0);
    let mut file = std::fs::File::create(path)?;
    file.write_all(&header)?;
    file.set_len(header.len() as u64 + tensors * TENSOR_BYTES)?;
    Ok(header.len() as u64)
}
