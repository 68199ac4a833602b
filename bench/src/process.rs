//! Server processes that the tool starts, and ends.

use std::{
    ffi::OsString,
    fs::File,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

/// How long a server may take to listen, or to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a server says when it listens, before its URL.
pub(crate) const LISTENING: &str = "listening on ";

/// A server process. It is killed if it is dropped.
pub(crate) struct Process {
    child: Child,
    /// Where it listens.
    pub(crate) url: String,
    /// When it was started.
    pub(crate) spawned: Instant,
    /// How long it took to say that it listens.
    pub(crate) listening: Duration,
}

impl Process {
    /// Starts a server and waits until it says where it listens. Its log goes to a file.
    pub(crate) async fn start(
        program: &Path,
        args: &[OsString],
        log: &Path,
    ) -> anyhow::Result<Self> {
        let file = File::options().create(true).append(true).open(log);
        let file = file.with_context(|| format!("cannot write {}", log.display()))?;
        let spawned = Instant::now();
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let stdout = child
            .stdout
            .take()
            .context("the server has no standard output")?;
        let mut lines = BufReader::new(stdout).lines();
        let url = match timeout(PATIENCE, url(&mut lines)).await {
            Ok(Ok(Some(url))) => url,
            Ok(Ok(None)) => bail!(
                "{} ended before it listened:\n{}",
                program.display(),
                tail(log)
            ),
            Ok(Err(error)) => return Err(error).context("cannot read what the server prints"),
            Err(_) => bail!("{} does not listen:\n{}", program.display(), tail(log)),
        };
        let listening = spawned.elapsed();
        // What it prints later is read, so that it never waits for a reader.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self {
            child,
            url,
            spawned,
            listening,
        })
    }

    /// Its process id, while it runs.
    pub(crate) fn pids(&self) -> Vec<u32> {
        self.child.id().into_iter().collect()
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        let pid = self
            .child
            .id()
            .and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        kill_process(pid.context("the server has ended by itself")?, Signal::TERM)?;
        let status = timeout(PATIENCE, self.child.wait())
            .await
            .context("the server does not stop")??;
        if !status.success() {
            bail!("the server did not stop well: {status}");
        }
        Ok(())
    }

    /// Ends it at once, as a power cut would.
    pub(crate) async fn kill(mut self) -> anyhow::Result<()> {
        self.child
            .kill()
            .await
            .context("the server cannot be killed")
    }
}

async fn url(lines: &mut Lines<BufReader<ChildStdout>>) -> std::io::Result<Option<String>> {
    while let Some(line) = lines.next_line().await? {
        if let Some(url) = line.strip_prefix(LISTENING) {
            return Ok(Some(url.trim().to_owned()));
        }
    }
    Ok(None)
}

/// The last lines of a log.
pub(crate) fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
