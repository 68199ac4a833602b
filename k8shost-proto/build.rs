//! Compiles the published protos, without protoc, and writes serde implementations beside them.

#[path = "build/serde.rs"]
mod serde;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

use prost_types::FileDescriptorSet;
use protox::prost::Message;

/// What is mostly absent and large: without boxes a volume takes 3 KiB, and a container 2 KiB.
const BOXED: [&str; 11] = [
    ".k8shost.v1.Volume",
    ".k8shost.v1.Container.lifecycle",
    ".k8shost.v1.Container.liveness_probe",
    ".k8shost.v1.Container.readiness_probe",
    ".k8shost.v1.Container.security_context",
    ".k8shost.v1.Container.startup_probe",
    ".k8shost.v1.EphemeralContainer.lifecycle",
    ".k8shost.v1.EphemeralContainer.liveness_probe",
    ".k8shost.v1.EphemeralContainer.readiness_probe",
    ".k8shost.v1.EphemeralContainer.security_context",
    ".k8shost.v1.EphemeralContainer.startup_probe",
];

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new("../proto");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    println!("cargo::rerun-if-changed=../proto");
    println!("cargo::rerun-if-changed=build");

    let mut files: Vec<PathBuf> = fs::read_dir(root.join("k8shost/v1"))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_, Box<dyn Error>>>()?;
    files.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "proto")
    });
    files.sort();

    let set = protox::Compiler::new([root])?
        .include_source_info(true)
        .include_imports(true)
        .open_files(&files)?
        .file_descriptor_set();

    fs::write(
        out.join("descriptors.bin"),
        comments_only(set.clone()).encode_to_vec(),
    )?;
    fs::write(out.join("serde.rs"), serde::generate(&set))?;
    let mut builder = tonic_prost_build::configure().btree_map(".");
    for path in BOXED {
        builder = builder.boxed(path);
    }
    builder.compile_fds(set)?;
    Ok(())
}

/// Drops what reflection has no use for: source positions of anything that has no comment.
fn comments_only(mut set: FileDescriptorSet) -> FileDescriptorSet {
    for file in &mut set.file {
        if let Some(info) = &mut file.source_code_info {
            info.location
                .retain(|location| location.leading_comments.is_some());
        }
    }
    set
}
