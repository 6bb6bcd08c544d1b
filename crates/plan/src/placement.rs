//! Which model serves which role on which devices, as people write it:
//! `main=gpt-oss-120b:mxfp4@0, sub=qwen3-coder-30b-a3b:q4_k_m:vllm@1x2, vision=…@0/3`.

use std::fmt;
use std::str::FromStr;

use localrig_estimate::context::{KV_TYPES, KvType};

/// One role's place: `ROLE=MODEL[:FORMAT[:ENGINE[:KV]]][@DEVICES]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The role, or the beginning of its name.
    pub role: String,
    /// The model.
    pub model: String,
    /// Its format; absent = the usual one.
    pub format: Option<String>,
    /// Its engine; absent = the one of the command.
    pub engine: Option<String>,
    /// Type of its KV cache; absent = the one of the command.
    pub kv: Option<KvType>,
    /// Where it runs.
    pub devices: Devices,
}

/// Devices of a place, numbered from 0 in the order of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Devices {
    /// All, layers spread over them.
    All,
    /// These, layers spread over them: `0` or `0+1`.
    Layers(Vec<u32>),
    /// These, every layer cut: `0x1`.
    Tensor(Vec<u32>),
    /// A copy of the model on each of these: `0/1`.
    Replicas(Vec<u32>),
}

/// A place that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// It is not of the form.
    #[error("`{text}` is no place: write ROLE=MODEL[:FORMAT[:ENGINE[:KV]]][@DEVICES]")]
    Form {
        /// What was written.
        text: String,
    },
    /// The type of the KV cache is not known.
    #[error("`{text}` is no type of a KV cache: {}", KV_TYPES.map(|kind| kind.name).join(", "))]
    Kv {
        /// What was written.
        text: String,
    },
    /// The devices are not of the form.
    #[error(
        "`{text}` names no devices: write `0`, `0+1` (layers spread), `0x1` (layers cut) or `0/1` (a copy on each)"
    )]
    Devices {
        /// What was written.
        text: String,
    },
}

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        let wrong = || PlaceError::Form { text: text.to_owned() };
        let (role, rest) = text.trim().split_once('=').ok_or_else(wrong)?;
        let (what, devices) = match rest.rsplit_once('@') {
            Some((what, devices)) => (what, parse_devices(devices)?),
            None => (rest, Devices::All),
        };
        let mut parts = what.split(':').map(|part| part.trim().to_owned());
        let model = parts.next().filter(|model| !model.is_empty()).ok_or_else(wrong)?;
        let (format, engine) = (parts.next(), parts.next());
        let kv = parts.next().map(|kv| KvType::of(&kv).ok_or(PlaceError::Kv { text: kv }));
        let kv = kv.transpose()?;
        let empty = |part: &Option<String>| part.as_ref().is_some_and(String::is_empty);
        let role = role.trim().to_owned();
        if role.is_empty() || empty(&format) || empty(&engine) || parts.next().is_some() {
            return Err(wrong());
        }
        Ok(Self { role, model, format, engine, kv, devices })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}={}", self.role, self.model)?;
        // What stands before a part that is given must be given as well.
        for part in [&self.format, &self.engine].into_iter().map_while(Option::as_ref) {
            write!(out, ":{part}")?;
        }
        if let Some(kv) = self.kv.filter(|_| self.engine.is_some()) {
            write!(out, ":{}", kv.name)?;
        }
        let (sign, devices) = match &self.devices {
            Devices::All => return Ok(()),
            Devices::Layers(devices) => ("+", devices),
            Devices::Tensor(devices) => ("x", devices),
            Devices::Replicas(devices) => ("/", devices),
        };
        let numbers: Vec<String> = devices.iter().map(ToString::to_string).collect();
        write!(out, "@{}", numbers.join(sign))
    }
}

fn parse_devices(text: &str) -> Result<Devices, PlaceError> {
    let text = text.trim();
    let wrong = || PlaceError::Devices { text: text.to_owned() };
    let numbers = |sign: char| -> Result<Vec<u32>, PlaceError> {
        let all: Result<Vec<u32>, _> = text.split(sign).map(|one| one.trim().parse()).collect();
        let all = all.map_err(|_| wrong())?;
        let mut sorted = all.clone();
        sorted.sort_unstable();
        sorted.dedup();
        if sorted.len() == all.len() { Ok(all) } else { Err(wrong()) }
    };
    if text.contains('x') {
        numbers('x').map(Devices::Tensor)
    } else if text.contains('/') {
        numbers('/').map(Devices::Replicas)
    } else {
        numbers('+').map(Devices::Layers)
    }
}

/// Reads places separated by commas.
///
/// # Errors
/// When one of them is not of the form.
pub fn parse_places(text: &str) -> Result<Vec<Place>, PlaceError> {
    text.split(',').map(str::parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_people_write_them() {
        let places = parse_places(
            "main=openai/gpt-oss-120b:mxfp4@0x1, sub=qwen3-32b:q4_k_m:vllm:q8_0@2/3,vision=gemma",
        );
        let places = places.unwrap();
        for place in &places {
            assert_eq!(place.to_string().parse(), Ok(place.clone()));
        }
        let said: Vec<String> = places.iter().map(|one| format!("{one:?}")).collect();
        insta::assert_snapshot!(said.join("\n"), @r#"
        Place { role: "main", model: "openai/gpt-oss-120b", format: Some("mxfp4"), engine: None, kv: None, devices: Tensor([0, 1]) }
        Place { role: "sub", model: "qwen3-32b", format: Some("q4_k_m"), engine: Some("vllm"), kv: Some(KvType { name: "q8_0", block: 32, bytes: 34 }), devices: Replicas([2, 3]) }
        Place { role: "vision", model: "gemma", format: None, engine: None, kv: None, devices: All }
        "#);
    }

    #[test]
    fn what_is_no_place_says_what_one_looks_like() {
        let say = |text| parse_places(text).unwrap_err().to_string();
        let said = [
            say("main"),
            say("main="),
            say("main=a:b:c:d"),
            say("main=a:b:c:f16:e"),
            say("main=a@0+0"),
            say("main=a@gpu"),
        ];
        insta::assert_snapshot!(said.join("\n"), @"
        `main` is no place: write ROLE=MODEL[:FORMAT[:ENGINE[:KV]]][@DEVICES]
        `main=` is no place: write ROLE=MODEL[:FORMAT[:ENGINE[:KV]]][@DEVICES]
        `d` is no type of a KV cache: f32, f16, bf16, fp8, q8_0, q5_1, q5_0, q4_1, q4_0, iq4_nl, int8
        `main=a:b:c:f16:e` is no place: write ROLE=MODEL[:FORMAT[:ENGINE[:KV]]][@DEVICES]
        `0+0` names no devices: write `0`, `0+1` (layers spread), `0x1` (layers cut) or `0/1` (a copy on each)
        `gpu` names no devices: write `0`, `0+1` (layers spread), `0x1` (layers cut) or `0/1` (a copy on each)
        ");
    }
}
