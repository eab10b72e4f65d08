//! The tree and its proofs beside a naive reading of RFC 6962 §2.1.

use crate::proof::root_at;
use crate::tree::empty_root;
use crate::*;
use mandate_kernel::Digest;
use proptest::prelude::*;

fn naive_root(leaves: &[Digest]) -> Digest {
    match leaves {
        [] => Digest::of(b""),
        [only] => *only,
        _ => {
            let k = leaves.len().next_power_of_two() / 2;
            node_hash(&naive_root(&leaves[..k]), &naive_root(&leaves[k..]))
        }
    }
}

fn naive_path(m: usize, leaves: &[Digest]) -> Vec<Digest> {
    if leaves.len() <= 1 {
        return Vec::new();
    }
    let k = leaves.len().next_power_of_two() / 2;
    let (mut path, sibling) = if m < k {
        (naive_path(m, &leaves[..k]), naive_root(&leaves[k..]))
    } else {
        (naive_path(m - k, &leaves[k..]), naive_root(&leaves[..k]))
    };
    path.push(sibling);
    path
}

fn naive_subproof(m: usize, leaves: &[Digest], known: bool) -> Vec<Digest> {
    if m == leaves.len() {
        return if known { Vec::new() } else { vec![naive_root(leaves)] };
    }
    let k = leaves.len().next_power_of_two() / 2;
    let (mut path, sibling) = if m <= k {
        (naive_subproof(m, &leaves[..k], known), naive_root(&leaves[k..]))
    } else {
        (naive_subproof(m - k, &leaves[k..], false), naive_root(&leaves[..k]))
    };
    path.push(sibling);
    path
}

fn leaves(n: usize) -> Vec<Digest> {
    (0..n).map(|i| leaf_hash(&i.to_be_bytes())).collect()
}

fn tree(leaves: &[Digest]) -> MemoryTree {
    let mut tree = MemoryTree::new();
    for leaf in leaves {
        tree.append(*leaf);
    }
    tree
}

/// Roots of the first 0 to 8 of the leaves that Certificate Transparency's own tests use.
#[test]
fn gives_the_known_roots() {
    let inputs: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];
    let roots = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let mut frontier = Frontier::new();
    assert_eq!(frontier.root(), empty_root());
    for (n, root) in roots.iter().enumerate() {
        assert_eq!(frontier.root().to_hex(), *root, "size {n}");
        if let Some(input) = inputs.get(n) {
            frontier.append(leaf_hash(input));
        }
    }
}

#[test]
fn proofs_equal_the_naive_ones_at_every_size() {
    let leaves = leaves(34);
    let tree = tree(&leaves);
    for size in 0..=leaves.len() {
        let part = &leaves[..size];
        let root = naive_root(part);
        assert_eq!(root_at(&tree, size as u64), Ok(root));
        for (index, leaf) in part.iter().enumerate() {
            let proof = inclusion_proof(&tree, index as u64, size as u64).unwrap();
            assert_eq!(proof, naive_path(index, part));
            assert_eq!(verify_inclusion(leaf, index as u64, size as u64, &proof, &root), Ok(()));
        }
        for old in 0..=size {
            let proof = consistency_proof(&tree, old as u64, size as u64).unwrap();
            if old > 0 {
                assert_eq!(proof, naive_subproof(old, part, true));
            }
            let old_root = naive_root(&leaves[..old]);
            assert_eq!(verify_consistency(old as u64, &old_root, size as u64, &root, &proof), Ok(()));
        }
    }
}

#[test]
fn proofs_of_anything_else_are_refused() {
    let leaves = leaves(21);
    let tree = tree(&leaves);
    let root = tree.root();
    let proof = inclusion_proof(&tree, 9, 21).unwrap();
    for index in (0..21).filter(|i| *i != 9) {
        assert!(verify_inclusion(&leaves[9], index, 21, &proof, &root).is_err(), "index {index}");
    }
    for index in (0..21usize).filter(|i| *i != 9) {
        assert!(verify_inclusion(&leaves[index], 9, 21, &proof, &root).is_err(), "leaf {index}");
    }
    assert_eq!(verify_inclusion(&leaves[9], 9, 21, &proof[1..], &root), Err(ProofError::Length));
    let longer: Vec<Digest> = proof.iter().copied().chain([root]).collect();
    assert_eq!(verify_inclusion(&leaves[9], 9, 21, &longer, &root), Err(ProofError::Length));
    assert_eq!(
        verify_inclusion(&leaves[9], 21, 21, &proof, &root),
        Err(ProofError::OutOfRange { inner: 21, size: 21 })
    );
    assert_eq!(verify_inclusion(&leaves[9], 0, 0, &[], &root), Err(ProofError::OutOfRange { inner: 0, size: 0 }));
    let old_root = naive_root(&leaves[..13]);
    let proof = consistency_proof(&tree, 13, 21).unwrap();
    assert_eq!(verify_consistency(13, &root, 21, &root, &proof), Err(ProofError::Root));
    assert!(verify_consistency(12, &old_root, 21, &root, &proof).is_err());
    assert_eq!(verify_consistency(13, &old_root, 21, &root, &[]), Err(ProofError::Length));
    assert_eq!(verify_consistency(22, &root, 21, &root, &[]), Err(ProofError::OutOfRange { inner: 22, size: 21 }));
    assert_eq!(verify_consistency(0, &root, 21, &root, &[]), Err(ProofError::Root));
    assert_eq!(verify_consistency(0, &empty_root(), 0, &root, &[]), Err(ProofError::Root));
    assert_eq!(inclusion_proof(&tree, 21, 21), Err(TreeError::OutOfRange { inner: 21, size: 21 }));
    assert_eq!(inclusion_proof(&tree, 1, 60), Err(TreeError::Missing { level: 4, index: 2 }));
}

#[test]
fn a_frontier_that_contradicts_itself_is_refused() {
    let mut frontier = Frontier::new();
    for leaf in leaves(11) {
        frontier.append(leaf);
    }
    let text = serde_json::to_string(&frontier).unwrap();
    assert_eq!(serde_json::from_str::<Frontier>(&text).unwrap(), frontier);
    assert!(serde_json::from_str::<Frontier>(&text.replace(":11", ":12")).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn larger_trees_hold_too(size in 1usize..600, a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>(), flip in 0usize..32) {
        let leaves = leaves(size);
        let tree = tree(&leaves);
        prop_assert_eq!(tree.root(), naive_root(&leaves));
        let (index, old) = (a.index(size), b.index(size) + 1);
        let mut proof = inclusion_proof(&tree, index as u64, size as u64).unwrap();
        prop_assert_eq!(&proof, &naive_path(index, &leaves));
        if let Some(hash) = proof.first_mut() {
            let mut bytes = *hash.as_bytes();
            bytes[flip] ^= 1;
            *hash = Digest::from_bytes(bytes);
            prop_assert!(verify_inclusion(&leaves[index], index as u64, size as u64, &proof, &tree.root()).is_err());
        }
        let proof = consistency_proof(&tree, old as u64, size as u64).unwrap();
        let old_root = naive_root(&leaves[..old]);
        prop_assert_eq!(verify_consistency(old as u64, &old_root, size as u64, &tree.root(), &proof), Ok(()));
        let other = leaf_hash(b"other");
        prop_assert!(verify_consistency(old as u64, &other, size as u64, &tree.root(), &proof).is_err());
    }

    #[test]
    fn hostile_proofs_neither_panic_nor_hold(index: u64, size: u64, old: u64, length in 0usize..70) {
        let proof = vec![leaf_hash(b"x"); length];
        let root = leaf_hash(b"root");
        prop_assert!(verify_inclusion(&leaf_hash(b"l"), index, size, &proof, &root).is_err());
        prop_assert!(verify_consistency(old, &leaf_hash(b"old"), size, &root, &proof).is_err());
    }
}
