//! How the memory came about, term by term.

use localrig_facts::figure::{in_gib, memory};
use localrig_facts::unit::Bytes;
use localrig_facts::{Basis, Estimate};

use super::{Ask, Holding, Parts};
use crate::term::Term;

impl Holding<'_> {
    /// The derivation of memory that is counted for the machine as a whole.
    pub(super) fn terms(&self, ask: Ask, parts: &Parts, usable: Bytes, margin: Bytes) -> Vec<Term> {
        let model = self.layout.id.as_str();
        let engine = self.setup.engine_id.as_str();
        let family = format!("architecture/{}", self.layout.family);
        let mut terms = vec![
            self.loaded_term(),
            Term::new(
                "weights on the accelerator",
                "loaded weights less the embedding table, which stays on the host unless memory is shared",
                gib(parts.weights),
                Basis::Exact,
                &[engine],
            ),
            Term::new(
                "KV cache",
                format!(
                    "sum over caching layers of cells * (K row + V row) in {}, {} stream(s) of {} tokens",
                    ask.kv.name, ask.streams, ask.context
                ),
                gib(parts.kv),
                Basis::Exact,
                &[model, &family, engine],
            ),
        ];
        if parts.state > Bytes::ZERO {
            terms.push(Term::new(
                "recurrent state",
                "32-bit floats per recurrent layer and stream, whatever the context",
                gib(parts.state),
                Basis::Exact,
                &[model, &family],
            ));
        }
        terms.push(Term::new(
            "graph buffer",
            "scratch memory of the widest moment of a micro-batch",
            range(&parts.graph),
            parts.graph.basis,
            &[engine],
        ));
        terms.push(Term::new(
            "runtime",
            "context and libraries of the stack, per device",
            range(&parts.runtime),
            parts.runtime.basis,
            &[engine],
        ));
        if ask.vision {
            terms.push(Term::new(
                "vision tower",
                "16-bit projector file and a quarter of it for activations",
                range(&parts.vision),
                parts.vision.basis,
                &[model],
            ));
        }
        if parts.uneven.high > Bytes::ZERO {
            terms.push(Term::new(
                "uneven split",
                "layers are not cut: half a layer for each further device",
                range(&parts.uneven),
                parts.uneven.basis,
                &[model],
            ));
        }
        let devices: Vec<&str> =
            self.machine.devices.iter().map(|device| device.id.as_str()).collect();
        terms.push(Term::new(
            "usable",
            "what the driver or platform lets the accelerator use",
            gib(usable),
            Basis::Exact,
            &devices,
        ));
        terms.push(Term::new(
            "margin",
            "the larger of 0.5 GiB and 3 % of usable memory",
            gib(margin),
            Basis::Assumed,
            &[],
        ));
        terms
    }

    /// The weights as the file has them.
    pub(super) fn loaded_term(&self) -> Term {
        let by_type = self.weights.by_type.iter();
        let by_type: Vec<String> =
            by_type.map(|(kind, bytes)| format!("{kind} {}", gib(*bytes))).collect();
        Term::new(
            "weights loaded",
            format!(
                "sum over {} tensors of elements / block * bytes, each padded to 32 ({})",
                self.layout.tensors.len(),
                by_type.join(", ")
            ),
            gib(self.weights.loaded),
            Basis::Exact,
            &[self.layout.id.as_str(), &format!("architecture/{}", self.layout.family)],
        )
    }
}

/// Bytes in GiB.
pub(super) fn gib(bytes: Bytes) -> String {
    memory(bytes, 2)
}

/// An estimate in GiB.
pub(super) fn range(one: &Estimate<Bytes>) -> String {
    format!("{} ({} to {})", gib(one.value), in_gib(one.low, 2), in_gib(one.high, 2))
}
