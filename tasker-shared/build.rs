//! Makes cargo build again when a file of the schema changes.

fn main() {
    println!("cargo::rerun-if-changed=../migrations");
    println!("cargo::rerun-if-changed=../functions");
}
