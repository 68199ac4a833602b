//! The data folder: created, locked against other processes, and known by its format.
//!
//! ```text
//! <folder>/format    "k8shost-store 1": what is in here, and how it is written
//! <folder>/lock      locked while a process has the folder; the process's id, to be named
//! <folder>/store/    the LSM store's own files
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::OpenError;

/// The format that is written, and the only one that is read.
const FORMAT: u32 = 1;
const FORMAT_NAME: &str = "k8shost-store";

/// What may be in a folder that has no store yet: a file system's own at a mount point, and what a
/// creation leaves that was cut short.
const MAY_BE_THERE: [&str; 3] = ["lost+found", "lock", "format.new"];

/// Where the LSM store has its files.
pub(super) fn store(folder: &Path) -> PathBuf {
    folder.join("store")
}

/// A data folder that this process, and no other, has.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Locked; the kernel lets go of it when the process ends, however it ends.
    _lock: File,
}

impl Folder {
    /// Takes the folder, making it where there is none.
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        create(path).map_err(|error| OpenError::io(path, error))?;
        // Once before the lock, whose file would be the first thing to be made in a folder that is
        // somebody else's.
        let new = check_format(path)? == Found::Nothing;
        let folder = Self {
            path: path.to_owned(),
            _lock: lock(path)?,
        };
        if new && check_format(path)? == Found::Nothing {
            folder
                .write_format()
                .map_err(|error| OpenError::io(path, error))?;
        }
        folder.clear_unfinished()?;
        create(&store(path)).map_err(|error| OpenError::io(&store(path), error))?;
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Written whole or not at all.
    fn write_format(&self) -> io::Result<()> {
        let new = self.path.join("format.new");
        let mut file = File::create(&new)?;
        writeln!(file, "{FORMAT_NAME} {FORMAT}")?;
        file.sync_all()?;
        fs::rename(&new, self.path.join("format"))?;
        File::open(&self.path)?.sync_all()
    }

    /// Takes away what is left of a store whose creation was cut short. Its version marker is the last
    /// thing that is made before anything can be stored.
    fn clear_unfinished(&self) -> Result<(), OpenError> {
        let store = store(&self.path);
        let failed = |error| OpenError::io(&store, error);
        if !store.try_exists().map_err(failed)?
            || has_bytes(&store.join("version")).map_err(failed)?
        {
            return Ok(());
        }
        if !is_blank(&store).map_err(failed)? {
            return Err(not_a_store(
                &self.path,
                "its store has data, but no version file",
            ));
        }
        fs::remove_dir_all(&store).map_err(failed)
    }
}

#[derive(PartialEq, Eq)]
enum Found {
    Store,
    Nothing,
}

/// Whether there is a store of our format, or nothing at all; whatever else there is, is refused.
fn check_format(folder: &Path) -> Result<Found, OpenError> {
    let path = folder.join("format");
    let text = match fs::read(&path) {
        Ok(text) => String::from_utf8_lossy(&text).into_owned(),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return check_empty(folder).map(|()| Found::Nothing);
        }
        Err(error) => return Err(OpenError::io(&path, error)),
    };
    let format = text
        .trim_end()
        .strip_prefix(FORMAT_NAME)
        .and_then(|rest| rest.trim().parse().ok());
    match format {
        Some(FORMAT) => Ok(Found::Store),
        Some(found) if found > FORMAT => Err(OpenError::NewerFormat {
            folder: folder.to_owned(),
            found,
            supported: FORMAT,
        }),
        _ => Err(not_a_store(
            folder,
            &format!("its format file says {:?}", text.trim_end()),
        )),
    }
}

fn check_empty(folder: &Path) -> Result<(), OpenError> {
    let failed = |error| OpenError::io(folder, error);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if !MAY_BE_THERE.iter().any(|known| name == *known) {
            let name = name.to_string_lossy();
            return Err(not_a_store(
                folder,
                &format!("it has {name:?} in it, but no format file"),
            ));
        }
    }
    Ok(())
}

fn not_a_store(folder: &Path, detail: &str) -> OpenError {
    OpenError::NotAStore {
        folder: folder.to_owned(),
        detail: detail.to_owned(),
    }
}

fn has_bytes(path: &Path) -> io::Result<bool> {
    match path.metadata() {
        Ok(metadata) => Ok(metadata.len() > 0),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether there are only empty folders and files without content: a journal is made at its full length,
/// but takes no room on the disk.
fn is_blank(folder: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let blank = match entry.file_type()?.is_dir() {
            true => is_blank(&entry.path())?,
            false => entry.metadata()?.blocks() == 0,
        };
        if !blank {
            return Ok(false);
        }
    }
    Ok(true)
}

/// For the owner's eyes only. A folder that is there already keeps its permissions.
fn create(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn lock(folder: &Path) -> Result<File, OpenError> {
    let path = folder.join("lock");
    let open = || {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
    };
    let mut file = open().map_err(|error| OpenError::io(&path, error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // The id is a courtesy: without it the answer is the same.
            let pid = file
                .read_to_string(&mut text)
                .ok()
                .and_then(|_| text.trim().parse().ok());
            return Err(OpenError::InUse {
                folder: folder.to_owned(),
                pid,
            });
        }
        Err(TryLockError::Error(error)) => return Err(OpenError::io(&path, error)),
    }
    let name = |file: &mut File| {
        file.set_len(0)?;
        writeln!(file, "{}", std::process::id())
    };
    name(&mut file).map_err(|error| OpenError::io(&path, error))?;
    Ok(file)
}
