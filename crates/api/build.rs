//! Has the console embedded anew when it was built anew. Without a build of it, or without Node on the
//! machine, the crate compiles all the same and serves a page that says how to build it.

use std::path::Path;

const DIST: &str = "../../console/dist";

fn main() {
    // A watched path that is missing would have the crate compiled every time; so the folder, which no
    // version control holds, is made where its parent is there.
    if Path::new("../../console").is_dir()
        && !Path::new(DIST).is_dir()
        && let Err(error) = std::fs::create_dir(DIST)
    {
        println!("cargo::warning={DIST} can't be made: {error}");
    }
    println!("cargo::rerun-if-changed=build.rs");
    if Path::new(DIST).is_dir() {
        println!("cargo::rerun-if-changed={DIST}");
    }
}
