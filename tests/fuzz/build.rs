//! Every plugin's crate has the same two symbols, by which its `.so` is loaded. Here several stand in one test program, where
//! nobody asks for them: any of them will do.

fn main() {
    println!("cargo::rustc-link-arg-tests=-Wl,--allow-multiple-definition");
    println!("cargo::rerun-if-changed=build.rs");
}
