//! Notes, verifier keys and checkpoints: known vectors and one text per value.

use super::*;
use crate::checkpoint::CosignedCheckpoint;
use crate::{NoteError, NoteSignature, SignedNote};
use proptest::prelude::*;

/// The example in the documentation of Go's `golang.org/x/mod/sumdb/note`.
#[test]
fn agrees_with_an_independent_implementation() {
    let vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    let note = "If you think cryptography is the answer to your problem,\n\
        then you don't know what your problem is.\n\n\
        — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    let key: VerifierKey = vkey.parse().unwrap();
    assert_eq!(key.to_string(), vkey);
    let note = SignedNote::parse(note).unwrap();
    assert_eq!(key.verify(&note.text, &note.signatures[0]), Ok(None));
    assert!(key.verify(&note.text.replace("answer", "Answer"), &note.signatures[0]).is_err());
}

#[test]
fn refuses_other_spellings_of_a_verifier_key() {
    let good = World::new().anchor.witnesses()[0].to_string();
    assert!(good.parse::<VerifierKey>().is_ok());
    let upper = good.to_uppercase();
    let wrong_hash = good.replacen('+', "+0", 1);
    for bad in [
        "",
        "a+b",
        &upper,
        &wrong_hash,
        &good[..good.len() - 1],
        &format!("{good}="),
        &good.replacen("witness", "w itness", 1),
    ] {
        assert!(bad.parse::<VerifierKey>().is_err(), "{bad}");
    }
}

#[test]
fn refuses_other_spellings_of_a_checkpoint() {
    let good = Checkpoint { origin: ORIGIN.to_owned(), size: 7, root: crate::leaf_hash(b"") }.to_string();
    assert_eq!(Checkpoint::parse(&good).unwrap().to_string(), good);
    let bad = [
        good.replace("\n7\n", "\n07\n"),
        good.replace("\n7\n", "\n+7\n"),
        good.replace("\n7\n", "\n-7\n"),
        good.replace("\n7\n", "\n99999999999999999999\n"),
        good.replace("=\n", "\n"),
        good.trim_end().to_owned(),
        format!("{good}extension\n"),
        format!("{good}\n"),
        good.replace(ORIGIN, ""),
        good.replace(ORIGIN, "a b"),
        good.replace('\n', "\r\n"),
    ];
    for text in bad {
        assert!(Checkpoint::parse(&text).is_err(), "{text:?}");
    }
}

#[test]
fn demands_exactly_the_expected_signature_lines() {
    let world = World::with_two_runs();
    let (log, witnesses) = (world.anchor.tenant(&demo()).unwrap().log.clone(), world.anchor.witnesses());
    let verify = |text: &str| CosignedCheckpoint::verify(text, std::slice::from_ref(&log), witnesses, 1);
    let good = world.checkpoint();
    let verified = verify(&good).unwrap();
    assert_eq!(verified.checkpoint().size, 5);
    assert_eq!(verified.cosignatures()[0].time, 1_790_000_100);

    let note = SignedNote::parse(&good).unwrap();
    let (mine, cosigned) = (note.signatures[0].clone(), note.signatures[1].clone());
    let stranger = note::sign(&note.text, "stranger.example", &signer(99)).unwrap();
    // A key with the right name but of the wrong kind is another key.
    let plain = note::sign(&note.text, WITNESS, &world.witness).unwrap();
    let foreign = note::sign(&note.text, ORIGIN, &signer(99)).unwrap();
    let with = |signatures: Vec<NoteSignature>| SignedNote { text: note.text.clone(), signatures }.to_string();
    let of = |name: &str| name.to_owned();
    let table = [
        (vec![mine.clone()], NoteError::Quorum { found: 0, needed: 1 }),
        (vec![cosigned.clone()], NoteError::NoLogSignature),
        (vec![cosigned.clone(), mine.clone()], NoteError::NoLogSignature),
        (vec![mine.clone(), cosigned.clone(), cosigned.clone()], NoteError::Order(of(WITNESS))),
        (vec![mine.clone(), mine.clone(), cosigned.clone()], NoteError::UnknownKey(of(ORIGIN))),
        (vec![mine.clone(), cosigned.clone(), stranger], NoteError::UnknownKey(of("stranger.example"))),
        (vec![mine.clone(), plain], NoteError::UnknownKey(of(WITNESS))),
        (vec![foreign, cosigned], NoteError::NoLogSignature),
    ];
    for (signatures, expected) in table {
        assert_eq!(verify(&with(signatures)).unwrap_err(), expected);
    }
}

#[test]
fn assembling_leaves_out_what_does_not_verify() {
    let world = World::with_two_runs();
    let note = SignedNote::parse(&world.checkpoint()).unwrap();
    let signed = SignedNote { text: note.text.clone(), signatures: vec![note.signatures[0].clone()] };
    let good = note.signatures[1].clone();
    let stranger = note::cosign(&note.text, "stranger.example", &signer(99), Timestamp::EPOCH).unwrap();
    let replies = [stranger, good.clone(), good];
    assert_eq!(assemble(&signed, &replies, world.anchor.witnesses(), 1).unwrap(), world.checkpoint());
    let none = assemble(&signed, &replies[..1], world.anchor.witnesses(), 1);
    assert_eq!(none.unwrap_err(), NoteError::Quorum { found: 0, needed: 1 });
}

#[test]
fn a_quorum_signs_in_the_order_of_the_anchor() {
    let world = World::with_two_runs();
    let log = [world.anchor.tenant(&demo()).unwrap().log.clone()];
    let names = ["w.example/1", "w.example/2", "w.example/3"];
    let keys: Vec<_> = (60u8..).map(signer).take(3).collect();
    let witness =
        |(name, key): (&&str, &dyn Signer)| VerifierKey::new(*name, Algorithm::CosignatureV1, key.public()).unwrap();
    let witnesses: Vec<_> = names.iter().zip(keys.iter().map(|key| key as &dyn Signer)).map(witness).collect();
    let text = SignedNote::parse(&world.checkpoint()).unwrap().text;
    let mine = note::sign(&text, ORIGIN, &world.log).unwrap();
    let lines: Vec<_> =
        names.iter().zip(&keys).map(|(name, key)| note::cosign(&text, name, key, Timestamp::EPOCH).unwrap()).collect();
    let verify = |which: &[usize]| {
        let cosigned = which.iter().map(|n| lines[*n].clone());
        let signatures = std::iter::once(mine.clone()).chain(cosigned).collect();
        CosignedCheckpoint::verify(&SignedNote { text: text.clone(), signatures }.to_string(), &log, &witnesses, 2)
    };
    for good in [&[0, 1][..], &[0, 2], &[1, 2], &[0, 1, 2]] {
        assert_eq!(verify(good).unwrap().cosignatures().len(), good.len());
    }
    for bad in [&[1, 0][..], &[2, 1, 0], &[0, 0], &[0, 1, 1], &[0, 2, 1]] {
        assert!(matches!(verify(bad), Err(NoteError::Order(_))), "{bad:?}");
    }
    for few in [&[][..], &[0], &[2]] {
        assert_eq!(verify(few).unwrap_err(), NoteError::Quorum { found: few.len(), needed: 2 });
    }
    let signed = SignedNote { text: text.clone(), signatures: vec![mine.clone()] };
    let reversed: Vec<_> = lines.iter().rev().cloned().collect();
    let assembled = assemble(&signed, &reversed, &witnesses, 2).unwrap();
    assert!(CosignedCheckpoint::verify(&assembled, &log, &witnesses, 2).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_parses_is_written_the_same(text in "([a-z]{0,3}\n|— [a-z+]{1,3} [A-Za-z0-9+/=]{6,9}\n|\n){0,6}") {
        if let Ok(note) = SignedNote::parse(&text) {
            prop_assert_eq!(note.to_string(), text);
        }
    }
}

/// The form of c2sp.org/tlog-proof, line by line.
#[test]
fn a_proof_that_stands_alone() {
    let world = World::with_two_runs();
    let (checkpoint, hashes) = (world.checkpoint(), inclusion_proof(&world.tree, 3, 5).unwrap());
    let entry = world.entries[3].bytes().to_vec();
    let text = crate::TlogProof { index: 3, entry, hashes: hashes.clone(), checkpoint: checkpoint.clone() }.to_string();
    let (head, note) = text.split_once("\n\n").unwrap();
    assert_eq!(note, checkpoint);
    let lines: Vec<&str> = head.split('\n').collect();
    assert_eq!((lines[0], lines[2]), ("c2sp.org/tlog-proof@v1", "index 3"));
    let extra = mandate_kernel::base64_decode(lines[1].strip_prefix("extra ").unwrap()).unwrap();
    let told: Vec<_> = lines[3..].iter().map(|line| mandate_kernel::base64_decode(line).unwrap()).collect();
    assert_eq!(told, hashes.iter().map(|hash| hash.as_bytes().to_vec()).collect::<Vec<_>>());
    let leaf = crate::leaf_hash(&extra);
    crate::verify_inclusion(&leaf, 3, 5, &hashes, &world.tree.root()).unwrap();
    // One leaf: no hashes, and the blank line follows at once.
    let alone = crate::TlogProof { index: 0, entry: b"e".to_vec(), hashes: Vec::new(), checkpoint: "c\n".to_owned() };
    assert_eq!(alone.to_string(), "c2sp.org/tlog-proof@v1\nextra ZQ==\nindex 0\n\nc\n");
}
