//! Every byte of a passport, an artefact and an export is protected: changed, cut off or spelled
//! differently, none verifies.

use super::exports::exported;
use super::passports::artifact_body;
use super::*;
use crate::{artifact, statement, verify_export};
use mandate_kernel::{base64_decode, base64_encode, canonical_json};

/// The flips: the lowest bit, the case of a letter, the highest bit, and something else.
const FLIPS: [u8; 4] = [0x01, 0x20, 0x80, 0x5b];

/// Fewer where each change costs several signatures.
const FEWER: [u8; 2] = [0x01, 0x20];

/// Expects `accepts` to take `good` and none of its one-byte changes, over two threads.
fn every_byte(good: &[u8], flips: &[u8], accepts: impl Fn(&[u8]) -> bool + Sync) {
    assert!(accepts(good));
    let half = good.len() / 2;
    let check = |range: std::ops::Range<usize>| {
        let mut bytes = good.to_vec();
        for at in range {
            for flip in flips {
                bytes[at] ^= flip;
                assert!(!accepts(&bytes), "byte {at} changed by {flip:#04x} is accepted");
                bytes[at] ^= flip;
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| check(0..half));
        check(half..good.len());
    });
}

fn every_length(good: &[u8], accepts: impl Fn(&[u8]) -> bool) {
    for length in 0..good.len() {
        assert!(!accepts(&good[..length]), "cut to {length} bytes is accepted");
    }
    for more in [b" ".as_slice(), b"\n", b"\0", b"{}", good] {
        assert!(!accepts(&[good, more].concat()), "{more:?} appended is accepted");
    }
}

/// The smallest world in which a proof has hashes: a run of two entries.
fn small() -> World {
    let mut world = World::new();
    world.record(EventKind::RunStarted, Some(0), json!({}));
    world.record(EventKind::RunCompleted, Some(0), json!({}));
    world
}

#[test]
fn passport() {
    let world = small();
    let good = world.passport(&run_id(0));
    let accepts = |bytes: &[u8]| passport::verify(bytes, &world.anchor).is_ok();
    every_byte(&good, &FLIPS, accepts);
    every_length(&good, accepts);
}

/// The same beneath the outer signature: an attacker with the evidence key signs each change.
#[test]
fn passport_body_signed_again() {
    let world = small();
    let good = Dsse::parse(&world.passport(&run_id(0))).unwrap().unverified_payload().to_vec();
    let accepts = |body: &[u8]| {
        let file = Dsse::sign(passport::PAYLOAD_TYPE, body.to_vec(), &world.evidence).to_bytes().unwrap();
        passport::verify(&file, &world.anchor).is_ok()
    };
    every_byte(&good, &FEWER, accepts);
}

/// And beneath the statement's signature too.
#[test]
fn statement_signed_again() {
    let world = small();
    let outer = Dsse::parse(&world.passport(&run_id(0))).unwrap();
    let body: Value = serde_json::from_slice(outer.unverified_payload()).unwrap();
    let good = base64_decode(body["statements"][1]["dsse"]["payload"].as_str().unwrap()).unwrap();
    let accepts = |payload: &[u8]| {
        let mut body = body.clone();
        let inner = Dsse::sign(statement::PAYLOAD_TYPE, payload.to_vec(), &world.evidence);
        body["statements"][1]["dsse"] = serde_json::to_value(inner).unwrap();
        let payload = canonical_json(&body).unwrap();
        let file = Dsse::sign(passport::PAYLOAD_TYPE, payload, &world.evidence).to_bytes().unwrap();
        passport::verify(&file, &world.anchor).is_ok()
    };
    every_byte(&good, &FEWER, accepts);
}

#[test]
fn artifact() {
    let world = World::new();
    let good = artifact::sign(&artifact_body(), &world.evidence).unwrap();
    let accepts = |bytes: &[u8]| artifact::verify(bytes, &world.anchor).is_ok();
    every_byte(&good, &FLIPS, accepts);
    every_length(&good, accepts);
}

#[test]
fn export() {
    let world = small();
    let files = exported(&world);
    for (path, good) in &files {
        let accepts = |bytes: &[u8]| {
            let mut files = files.clone();
            files.insert(path.clone(), bytes.to_vec());
            verify_export(&files, &world.anchor, &demo()).is_ok()
        };
        every_byte(good, &FLIPS, accepts);
        every_length(good, accepts);
    }
}

/// Two valid passports, cut and joined at every place.
#[test]
fn splices() {
    let world = World::with_two_runs();
    let (a, b) = (world.passport(&run_id(0)), world.passport(&run_id(1)));
    for at in 1..a.len().min(b.len()) {
        for (head, tail) in [(&a, &b), (&b, &a)] {
            let spliced = [&head[..at], &tail[at..]].concat();
            if spliced != a && spliced != b {
                assert!(passport::verify(&spliced, &world.anchor).is_err(), "spliced at {at}");
            }
        }
    }
}

/// The same value in any other spelling is refused, at each level.
#[test]
fn other_spellings() {
    let world = small();
    let good = String::from_utf8(world.passport(&run_id(0))).unwrap();
    let accepts = |text: &str| passport::verify(text.as_bytes(), &world.anchor).is_ok();
    assert!(accepts(&good));
    let envelope: Value = serde_json::from_str(&good).unwrap();
    let (payload, kind) = (envelope["payload"].as_str().unwrap(), envelope["payloadType"].as_str().unwrap());
    let reordered = format!(
        "{{\"payloadType\":\"{kind}\",\"payload\":\"{payload}\",\"signatures\":{}}}",
        canonical_json(&envelope["signatures"]).map(|s| String::from_utf8(s).unwrap()).unwrap()
    );
    let sig = envelope["signatures"][0]["sig"].as_str().unwrap();
    for other in [
        serde_json::to_string_pretty(&envelope).unwrap(),
        format!("{good}\n"),
        reordered,
        good.replacen("payload", "\\u0070ayload", 1),
        good.replacen("application/vnd", "application\\/vnd", 1),
        good.replace("==", ""),
        good.replace(sig, &sig.replace('+', "-").replace('/', "_")),
        good.replacen('{', "{\"a\":1,", 1),
        good.replacen("\"payload\":", "\"payload\":\"\",\"payload\":", 1),
    ] {
        assert!(other == good || !accepts(&other), "{other:.200}");
    }
    // The last sextet before `==` has four bits that decode to nothing: all their values.
    let (head, last) = sig.trim_end_matches('=').split_at(sig.trim_end_matches('=').len() - 1);
    for c in ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['+', '/']) {
        let other = format!("{head}{c}==");
        assert!(c.to_string() == last || !accepts(&good.replace(sig, &other)), "{c}");
    }

    // The body, spelled differently and signed again with the right key.
    let body = base64_decode(payload).unwrap();
    let value: Value = serde_json::from_slice(&body).unwrap();
    let text = String::from_utf8(body).unwrap();
    for other in [
        serde_json::to_string_pretty(&value).unwrap(),
        text.replacen("demo", "\\u0064emo", 1),
        text.replacen("\"index\":0", "\"index\":0.0", 1),
        text.replacen("\"index\":0", "\"index\":-0", 1),
        text.replacen("\"keys\":[]", "\"keys\":[ ]", 1),
    ] {
        assert_ne!(other, text);
        let file = Dsse::sign(passport::PAYLOAD_TYPE, other.clone().into_bytes(), &world.evidence);
        assert!(!accepts(&String::from_utf8(file.to_bytes().unwrap()).unwrap()), "{other:.200}");
    }
    assert_eq!(base64_encode(text.as_bytes()), payload);
}
