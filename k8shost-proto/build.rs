//! Compiles the published protos, without protoc, and writes serde implementations beside them.

#[path = "build/serde.rs"]
mod serde;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

use prost_types::field_descriptor_proto::Label;
use prost_types::{FieldDescriptorProto, FileDescriptorSet};
use protox::prost::Message;

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new("../proto");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    println!("cargo::rerun-if-changed=../proto");
    println!("cargo::rerun-if-changed=build");

    let internal = compile(root, "k8shost/internal/v1")?;
    fs::write(
        out.join("internal.bin"),
        comments_only(internal.clone()).encode_to_vec(),
    )?;
    tonic_prost_build::configure().compile_fds(internal)?;

    let set = compile(root, "k8shost/v1")?;
    fs::write(
        out.join("descriptors.bin"),
        comments_only(set.clone()).encode_to_vec(),
    )?;
    fs::write(out.join("serde.rs"), serde::generate(&set))?;
    let mut builder = tonic_prost_build::configure().btree_map(".");
    for path in boxed_fields(&set) {
        builder = builder.boxed(path);
    }
    builder.compile_fds(set)?;
    Ok(())
}

/// The files of a folder, which is a package, and all they import.
fn compile(root: &Path, folder: &str) -> Result<FileDescriptorSet, Box<dyn Error>> {
    let mut files: Vec<PathBuf> = fs::read_dir(root.join(folder))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_, Box<dyn Error>>>()?;
    files.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "proto")
    });
    files.sort();
    let mut compiler = protox::Compiler::new([root])?;
    compiler.include_source_info(true).include_imports(true);
    Ok(compiler.open_files(&files)?.file_descriptor_set())
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

/// The fields whose values are large and mostly absent: without boxes a volume would take 3 KiB,
/// and a container 2 KiB.
fn boxed_fields(set: &FileDescriptorSet) -> Vec<String> {
    let large = |field: &FieldDescriptorProto| {
        let name = field.type_name().rsplit('.').next().unwrap_or_default();
        let known = ["Lifecycle", "Probe", "SecurityContext"].contains(&name);
        (known || name.ends_with("VolumeSource")) && field.label() != Label::Repeated
    };
    let mut paths = Vec::new();
    for file in &set.file {
        for message in &file.message_type {
            for field in message.field.iter().filter(|field| large(field)) {
                let (package, message, field) = (file.package(), message.name(), field.name());
                paths.push(format!(".{package}.{message}.{field}"));
            }
        }
    }
    paths
}
