//! A bounded run of the fuzz targets: on their seeds, and on what becomes of seeds that are damaged.
//! `K8SHOST_TEST_RUNS` says how many damaged ones there are, for each target.

mod targets;

use std::{fs, path::Path};

/// Damaged seeds, for each target, unless told otherwise.
const RUNS: u64 = 50_000;

/// Pieces that mean something to one decoder or another.
const WORDS: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b":",
    b",",
    b"null",
    b"-1",
    b"1e400",
    b"\\u0000",
    b"\xff",
    b"$patch",
    b"$retainKeys",
    b"$setElementOrder/containers",
    b"metadata",
    b"managedFields",
    b"fieldsV1",
    b"spec",
    b"~1",
    b"/-",
    b" in (",
    b"!",
    b"!=",
    b"&a ",
    b"*a",
    b"<<: ",
    b"\n- ",
    b"k8s\0",
    b"\x0a\xff\xff\xff\xff\x0f",
    b"00",
];

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Less than the bound.
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).expect("less than a usize")
    }

    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        let longest = (length - start).min(32);
        start..start + self.below(longest + 1)
    }
}

fn damage(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    for _ in 0..=random.below(6) {
        let range = random.range(bytes.len());
        match random.below(6) {
            0 if !bytes.is_empty() => {
                let at = random.below(bytes.len());
                bytes[at] ^= 1 << random.below(8);
            }
            1 => drop(bytes.drain(range)),
            2 => {
                let piece = bytes[range].to_vec();
                let at = random.below(bytes.len() + 1);
                bytes.splice(at..at, piece);
            }
            3 => {
                let piece = other[random.range(other.len())].to_vec();
                bytes.splice(range, piece);
            }
            4 => bytes.truncate(range.start),
            _ => {
                let word = WORDS[random.below(WORDS.len())];
                bytes.splice(range.start..range.start, word.iter().copied());
            }
        }
    }
}

fn run(target: &str) {
    let call = |bytes: &[u8]| targets::run(target, bytes);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds");
    let mut seeds: Vec<_> = fs::read_dir(folder.join(target))
        .expect("there is a folder of seeds")
        .map(|file| file.expect("it can be read").path())
        .collect();
    seeds.sort();
    let seeds: Vec<Vec<u8>> = seeds
        .iter()
        .map(|file| fs::read(file).expect("it can be read"))
        .collect();
    assert!(seeds.len() > 1, "there are seeds");
    for seed in &seeds {
        call(seed);
    }
    let runs = std::env::var("K8SHOST_TEST_RUNS");
    let runs = runs.map_or(RUNS, |runs| runs.parse().expect("it is a number"));
    for number in 0..runs {
        let mut random = Random(number);
        let mut bytes = seeds[random.below(seeds.len())].clone();
        let other = &seeds[random.below(seeds.len())];
        damage(&mut bytes, other, &mut random);
        let told = std::panic::catch_unwind(|| call(&bytes));
        assert!(
            told.is_ok(),
            "{target}, run {number}: {}",
            bytes.escape_ascii()
        );
    }
}

#[test]
fn damaged_objects_do_no_harm() {
    run("objects");
}

#[test]
fn damaged_messages_do_no_harm() {
    run("protobuf");
}

#[test]
fn damaged_patches_do_no_harm() {
    run("patches");
}

#[test]
fn damaged_selectors_do_no_harm() {
    run("selectors");
}

#[test]
fn damaged_tokens_do_no_harm() {
    run("tokens");
}
