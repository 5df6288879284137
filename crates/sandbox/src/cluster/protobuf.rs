//! Reads the protobuf form of the server's own kinds: newer versions of kubectl create namespaces, secrets and reviews in it,
//! and take JSON back.
//!
//! A field that the table does not know is refused, so that nothing is lost in silence.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::messages;

/// What every such body begins with.
const MAGIC: &[u8] = b"k8s\0";

/// Why a body could not be read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Unreadable {
    /// It ends in the middle of something.
    #[error("the protobuf body is cut short")]
    CutShort,
    /// The sandbox does not know this kind.
    #[error("the sandbox does not read {0} as protobuf")]
    Kind(String),
    /// The sandbox does not know this field.
    #[error("the sandbox does not read field {1} of {0} as protobuf")]
    Field(String, u64),
}

/// Whether the body is in this form.
pub(super) fn is_protobuf(body: &[u8]) -> bool {
    body.starts_with(MAGIC)
}

/// The object in the body.
pub(super) fn read(body: &[u8]) -> Result<Value, Unreadable> {
    let envelope = body.strip_prefix(MAGIC).ok_or(Unreadable::CutShort)?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    for field in Fields(envelope) {
        let (number, wire) = field?;
        match number {
            1 => {
                for field in Fields(wire.bytes()?) {
                    let (number, wire) = field?;
                    let text = String::from_utf8_lossy(wire.bytes()?).into_owned();
                    if number == 1 { api_version = text } else { kind = text }
                }
            }
            2 => raw = wire.bytes()?,
            _ => {}
        }
    }
    let mut object = Map::new();
    object.insert("kind".to_owned(), json!(kind));
    object.insert("apiVersion".to_owned(), json!(api_version));
    message(&kind, raw, &mut object)?;
    Ok(Value::Object(object))
}

/// A field's content as it stands on the wire.
#[derive(Clone, Copy, Debug)]
enum Wire<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
}

impl<'a> Wire<'a> {
    fn bytes(self) -> Result<&'a [u8], Unreadable> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Varint(_) => Err(Unreadable::CutShort),
        }
    }

    fn number(self) -> Result<i64, Unreadable> {
        match self {
            Self::Varint(number) => Ok(number.cast_signed()),
            Self::Bytes(_) => Err(Unreadable::CutShort),
        }
    }
}

/// The fields of a message, one after another.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn varint(&mut self) -> Result<u64, Unreadable> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(Unreadable::CutShort)?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Unreadable::CutShort)
    }

    fn field(&mut self) -> Result<(u64, Wire<'a>), Unreadable> {
        let tag = self.varint()?;
        let wire = match tag & 7 {
            0 => Wire::Varint(self.varint()?),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Unreadable::CutShort)?;
                let (bytes, rest) = self.0.split_at_checked(length).ok_or(Unreadable::CutShort)?;
                self.0 = rest;
                Wire::Bytes(bytes)
            }
            // Kubernetes has no field of a fixed width.
            _ => return Err(Unreadable::CutShort),
        };
        Ok((tag >> 3, wire))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Wire<'a>), Unreadable>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

fn message(name: &str, bytes: &[u8], object: &mut Map<String, Value>) -> Result<(), Unreadable> {
    let fields: Vec<&str> = messages::fields(name).ok_or_else(|| Unreadable::Kind(name.to_owned()))?.collect();
    for field in Fields(bytes) {
        let (number, wire) = field?;
        let known = fields.iter().find_map(|field| field.strip_prefix(&format!("{number}:")));
        let Some((field, kind)) = known.and_then(|known| known.split_once(':')) else {
            if matches!(wire, Wire::Varint(0) | Wire::Bytes(&[])) {
                continue;
            }
            return Err(Unreadable::Field(name.to_owned(), number));
        };
        if kind == "skip" {
            continue;
        }
        if field.is_empty() {
            message(kind, wire.bytes()?, object)?;
        } else if let Some(kind) = kind.strip_prefix("[]") {
            let item = value(kind, wire)?;
            if let Some(items) = object.entry(field.to_owned()).or_insert_with(|| json!([])).as_array_mut() {
                items.push(item);
            }
        } else if let Some(kind) = kind.strip_prefix("{}") {
            let (key, item) = entry(kind, wire.bytes()?)?;
            object.entry(field.to_owned()).or_insert_with(|| json!({}))[key] = item;
        } else if let Some(kind) = kind.strip_suffix('?') {
            object.insert(field.to_owned(), value(kind, wire)?);
        } else {
            let value = value(kind, wire)?;
            // What is not optional is always sent, also when nothing was given.
            if !is_zero(&value) {
                object.insert(field.to_owned(), value);
            }
        }
    }
    Ok(())
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

fn entry(kind: &str, bytes: &[u8]) -> Result<(String, Value), Unreadable> {
    let (mut key, mut item) = (String::new(), json!(""));
    for field in Fields(bytes) {
        let (number, wire) = field?;
        match number {
            1 => key = String::from_utf8_lossy(wire.bytes()?).into_owned(),
            _ => item = value(kind, wire)?,
        }
    }
    Ok((key, item))
}

fn value(kind: &str, wire: Wire<'_>) -> Result<Value, Unreadable> {
    Ok(match kind {
        "str" => json!(String::from_utf8_lossy(wire.bytes()?)),
        "bytes" => json!(STANDARD.encode(wire.bytes()?)),
        "int" => json!(wire.number()?),
        "bool" => json!(wire.number()? != 0),
        "time" => time(wire.bytes()?)?,
        "Quantity" => entry("str", wire.bytes()?).map(|(text, _)| json!(text))?,
        "IntOrString" => int_or_string(wire.bytes()?)?,
        name => {
            let mut object = Map::new();
            message(name, wire.bytes()?, &mut object)?;
            Value::Object(object)
        }
    })
}

/// Null for the zero time.
fn time(bytes: &[u8]) -> Result<Value, Unreadable> {
    let (mut seconds, mut nanos) = (None, 0);
    for field in Fields(bytes) {
        match field? {
            (1, wire) => seconds = Some(wire.number()?),
            (_, wire) => nanos = wire.number()?,
        }
    }
    let nanos = i32::try_from(nanos).unwrap_or(0);
    let time = seconds.and_then(|seconds| Timestamp::new(seconds, nanos).ok());
    Ok(time.map_or(Value::Null, |time| match nanos {
        0 => json!(time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
        _ => json!(time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()),
    }))
}

fn int_or_string(bytes: &[u8]) -> Result<Value, Unreadable> {
    let (mut is_text, mut number, mut text) = (false, 0, String::new());
    for field in Fields(bytes) {
        match field? {
            (1, wire) => is_text = wire.number()? == 1,
            (2, wire) => number = wire.number()?,
            (_, wire) => text = String::from_utf8_lossy(wire.bytes()?).into_owned(),
        }
    }
    Ok(if is_text { json!(text) } else { json!(number) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(number: u8, content: &[u8]) -> Vec<u8> {
        let mut field = vec![number << 3 | 2, u8::try_from(content.len()).unwrap()];
        field.extend_from_slice(content);
        field
    }

    fn body(kind: &str, raw: &[u8]) -> Vec<u8> {
        let meta = [bytes(1, b"v1"), bytes(2, kind.as_bytes())].concat();
        [MAGIC.to_vec(), bytes(1, &meta), bytes(2, raw), bytes(3, b""), bytes(4, b"")].concat()
    }

    #[test]
    fn a_secret_is_read() {
        let metadata = [bytes(1, b"s"), bytes(2, b""), vec![7 << 3, 0], bytes(8, b"")].concat();
        let data = [bytes(1, b"key"), bytes(2, b"value")].concat();
        let raw = [bytes(1, &metadata), bytes(2, &data), bytes(3, b"Opaque")].concat();
        let expected = json!({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "s"}, "data": {"key": "dmFsdWU="},
            "type": "Opaque"});
        assert_eq!(read(&body("Secret", &raw)), Ok(expected));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        assert_eq!(read(&body("Secret", &bytes(15, b"x"))), Err(Unreadable::Field("Secret".to_owned(), 15)));
        assert_eq!(read(&body("Widget", &bytes(1, b""))), Err(Unreadable::Kind("Widget".to_owned())));
        assert_eq!(read(b"k8s\0\x0a\xff"), Err(Unreadable::CutShort));
    }

    #[test]
    fn every_message_of_the_table_is_there() {
        let names: Vec<&str> = messages::MESSAGES.lines().filter_map(|line| line.split(' ').next()).collect();
        assert!(names.len() > 40, "{names:?}");
        for name in &names {
            for field in messages::fields(name).unwrap() {
                let kind = field.splitn(3, ':').nth(2).unwrap().trim_matches(['[', ']', '{', '}', '?']);
                let plain = ["str", "int", "bool", "bytes", "time", "Quantity", "IntOrString", "skip"];
                assert!(plain.contains(&kind) || names.contains(&kind), "{name}: {field}");
            }
        }
    }
}
