//! Compiles the subset of TiKV's protos, without protoc.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let files = ["pdpb.proto", "keyspacepb.proto", "tikvpb.proto"];
    let set = protox::compile(files, ["proto"])?;
    tonic_prost_build::configure()
        .build_client(false)
        .generate_default_stubs(true)
        .compile_fds(set)?;
    Ok(())
}
