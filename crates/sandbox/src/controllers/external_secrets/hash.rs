//! The hashes that External Secrets keeps beside what it wrote: SHA3-224 over Go's `%+v` of an object.
//!
//! They are fingerprints of a state, compared for equality only; nothing here protects anything.

use std::collections::BTreeMap;

use serde_json::Value;

/// The bytes of a SHA3-224 digest.
const DIGEST: usize = 28;
/// The bytes absorbed at a time: 1600 bits less twice the digest.
const RATE: usize = 200 - 2 * DIGEST;

const ROUND_CONSTANTS: [u64; 24] = [
    0x0000_0000_0000_0001,
    0x0000_0000_0000_8082,
    0x8000_0000_0000_808a,
    0x8000_0000_8000_8000,
    0x0000_0000_0000_808b,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8009,
    0x0000_0000_0000_008a,
    0x0000_0000_0000_0088,
    0x0000_0000_8000_8009,
    0x0000_0000_8000_000a,
    0x0000_0000_8000_808b,
    0x8000_0000_0000_008b,
    0x8000_0000_0000_8089,
    0x8000_0000_0000_8003,
    0x8000_0000_0000_8002,
    0x8000_0000_0000_0080,
    0x0000_0000_0000_800a,
    0x8000_0000_8000_000a,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8080,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8008,
];
/// Where each lane moves to, and by how many bits it turns, along the one cycle of rho and pi.
const MOVES: [(usize, u32); 24] = [
    (10, 1),
    (7, 3),
    (11, 6),
    (17, 10),
    (18, 15),
    (3, 21),
    (5, 28),
    (16, 36),
    (8, 45),
    (21, 55),
    (24, 2),
    (4, 14),
    (15, 27),
    (23, 41),
    (19, 56),
    (13, 8),
    (12, 25),
    (2, 43),
    (20, 62),
    (14, 18),
    (22, 39),
    (9, 61),
    (6, 20),
    (1, 44),
];

fn permute(lanes: &mut [u64; 25]) {
    for constant in ROUND_CONSTANTS {
        let column = |x: usize| (0..5).fold(0, |parity, y| parity ^ lanes[x + 5 * y]);
        let parities: [u64; 5] = std::array::from_fn(column);
        for (index, lane) in lanes.iter_mut().enumerate() {
            let x = index % 5;
            *lane ^= parities[(x + 4) % 5] ^ parities[(x + 1) % 5].rotate_left(1);
        }
        let mut moving = lanes[1];
        for (to, bits) in MOVES {
            moving = std::mem::replace(&mut lanes[to], moving.rotate_left(bits));
        }
        for row in lanes.chunks_exact_mut(5) {
            let before: [u64; 5] = std::array::from_fn(|x| row[x]);
            for x in 0..5 {
                row[x] = before[x] ^ (!before[(x + 1) % 5] & before[(x + 2) % 5]);
            }
        }
        lanes[0] ^= constant;
    }
}

/// SHA3-224, in hexadecimal.
pub fn sha3_224(text: &[u8]) -> String {
    let mut padded = text.to_vec();
    padded.push(0x06);
    padded.resize(padded.len().next_multiple_of(RATE), 0);
    if let Some(last) = padded.last_mut() {
        *last |= 0x80;
    }
    let mut lanes = [0_u64; 25];
    for block in padded.chunks_exact(RATE) {
        for (lane, bytes) in lanes.iter_mut().zip(block.chunks_exact(8)) {
            *lane ^= bytes.iter().rev().fold(0, |lane, byte| lane << 8 | u64::from(*byte));
        }
        permute(&mut lanes);
    }
    let bytes = lanes.iter().flat_map(|lane| lane.to_le_bytes());
    bytes.take(DIGEST).map(|byte| format!("{byte:02x}")).collect()
}

/// The hash of a Secret's data.
pub fn of_data(data: &BTreeMap<String, Vec<u8>>) -> String {
    let entries = data.iter().map(|(key, value)| {
        let bytes: Vec<String> = value.iter().map(u8::to_string).collect();
        format!("{key}:[{}]", bytes.join(" "))
    });
    sha3_224(go_map(entries).as_bytes())
}

/// `status.syncedResourceVersion`: the generation, and a hash of the labels and annotations.
pub fn synced_resource_version(object: &Value) -> String {
    let metadata = &object["metadata"];
    let texts = |map: &Value| {
        let map: BTreeMap<&String, &Value> = map.as_object().into_iter().flatten().collect();
        go_map(map.into_iter().map(|(key, value)| format!("{key}:{}", value.as_str().unwrap_or_default())))
    };
    let text = format!("{{annotations:{} labels:{}}}", texts(&metadata["annotations"]), texts(&metadata["labels"]));
    format!("{}-{}", metadata["generation"].as_i64().unwrap_or(0), sha3_224(text.as_bytes()))
}

fn go_map(entries: impl Iterator<Item = String>) -> String {
    format!("map[{}]", entries.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn digests_are_those_of_the_standard_and_of_external_secrets() {
        assert_eq!(sha3_224(b""), "6b4e03423667dbb73b6e15454f0eb1abd4597f9a1b078e3f5b5a6bc7");
        assert_eq!(sha3_224(b"abc"), "e642824c3f8cf24ad09234ee7d3c766fc9a3a5168d0c94ad73b46fdf");
        let data = [("foo", "value1"), ("bar", "value2")].map(|(key, value)| (key.to_owned(), value.into()));
        assert_eq!(of_data(&data.into()), "1bed8bcbcb4547ffe19a19cd47d9078e84aa6598266d86b99f992d64");
    }

    #[test]
    fn the_synced_version_follows_metadata_and_nothing_else() {
        let object = |annotations: Value| json!({"metadata": {"generation": 3, "annotations": annotations}});
        let one = synced_resource_version(&object(json!({"a": "1", "b": "2"})));
        assert!(one.starts_with("3-"));
        assert_eq!(one, synced_resource_version(&object(json!({"b": "2", "a": "1"}))), "the order does not matter");
        assert_ne!(one, synced_resource_version(&object(json!({"a": "1", "b": "3"}))));
    }
}
