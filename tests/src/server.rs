//! The server as a process: started, killed, restarted.

use std::{
    env,
    ffi::OsStr,
    fs::File,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::OnceLock,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    sync::watch,
};

use crate::{Client, within};

/// The binary under test: what `K8SHOST_TEST_BIN` names, else the one that cargo builds beside this
/// test, in the same profile.
///
/// # Panics
/// When it cannot be built.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(path) = env::var_os("K8SHOST_TEST_BIN") {
            return path.into();
        }
        // target/<profile>/deps/<test>
        let test = env::current_exe().expect("a test knows its own path");
        let profile = test
            .parent()
            .and_then(Path::parent)
            .expect("a test is in target/*/deps");
        let target = profile.parent().expect("a profile is in the target folder");
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = std::process::Command::new(cargo);
        build
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
            .args([
                "build",
                "--quiet",
                "--package",
                "k8shost-server",
                "--bin",
                "k8shost",
            ])
            .arg("--target-dir")
            .arg(target);
        // What cargo says of this crate would have build scripts of others run again, each time.
        for (key, _) in env::vars_os() {
            let name = key.to_string_lossy();
            if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
                build.env_remove(key);
            }
        }
        if profile.file_name() == Some(OsStr::new("release")) {
            build.arg("--release");
        }
        let status = build.status().expect("cargo can be started");
        assert!(status.success(), "the server cannot be built");
        profile.join("k8shost")
    })
}

/// The binary with arguments, and without the environment of whoever runs the tests.
fn command<S: AsRef<OsStr>>(args: &[S]) -> Command {
    let mut command = Command::new(binary());
    for (key, _) in env::vars_os() {
        if key.to_string_lossy().starts_with("K8SHOST_") || key == "FLAREDB_PD_ADDR" {
            command.env_remove(key);
        }
    }
    command.args(args).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// What a process said, and how it ended.
#[derive(Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// Runs the binary to its end.
///
/// # Panics
/// When it does not end.
pub async fn run<S: AsRef<OsStr>>(args: &[S], env: &[(&str, &str)], folder: &Path) -> Output {
    let mut command = command(args);
    command.envs(env.iter().copied()).current_dir(folder);
    let output = within("the end of the process", command.output())
        .await
        .expect("it can be started");
    Output {
        status: output.status,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A server with a folder of its own. It is killed when it is dropped; if the test has failed, its
/// log is printed and its folder is kept.
#[derive(Debug)]
pub struct Server {
    folder: TempDir,
    args: Vec<String>,
    env: Vec<(String, String)>,
    running: Option<Running>,
    starts: usize,
}

#[derive(Debug)]
struct Running {
    child: Child,
    lines: watch::Receiver<Vec<String>>,
}

impl Server {
    /// A server that serves.
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// A server with more flags that serves.
    pub async fn with(args: &[&str]) -> Self {
        Self::with_env(args, &[]).await
    }

    /// A server with more flags and an environment that serves.
    pub async fn with_env(args: &[&str], env: &[(&str, &str)]) -> Self {
        let mut server = Self::prepare(args, env);
        server.launch().await;
        server
    }

    /// A server that is not started.
    ///
    /// # Panics
    /// When there is no place for its folder.
    pub fn prepare(args: &[&str], env: &[(&str, &str)]) -> Self {
        Self {
            folder: TempDir::with_prefix("k8shost-test-").expect("a folder can be made"),
            args: args.iter().map(|a| (*a).to_owned()).collect(),
            env: env
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
            running: None,
            starts: 0,
        }
    }

    /// Its working folder, with the data folder in it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Starts the process, and waits for nothing.
    ///
    /// # Panics
    /// When it runs already, or cannot be started.
    pub fn spawn(&mut self) {
        assert!(self.running.is_none(), "the server runs already");
        self.starts += 1;
        let log = File::create(self.log_path(self.starts)).expect("a log can be made");
        let mut command = command(&self.args);
        if !self.args.iter().any(|arg| arg == "--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        command
            .envs(self.env.iter().map(|(k, v)| (k, v)))
            .current_dir(self.folder())
            .stdout(Stdio::piped())
            .stderr(Stdio::from(log));
        let mut child = command.spawn().expect("the server can be started");
        let stdout = child.stdout.take().expect("its standard output is a pipe");
        let (sender, lines) = watch::channel(Vec::new());
        tokio::spawn(async move {
            let mut stdout = BufReader::new(stdout).lines();
            while let Ok(Some(line)) = stdout.next_line().await {
                sender.send_modify(|lines| lines.push(line));
            }
        });
        self.running = Some(Running { child, lines });
    }

    /// Starts the process, and waits until it serves.
    pub async fn launch(&mut self) {
        self.spawn();
        self.printed("listening on ").await;
    }

    /// Waits for a line of its standard output that begins so, and returns it.
    ///
    /// # Panics
    /// When the server ends without it.
    pub async fn printed(&self, start: &str) -> String {
        let mut lines = self.running().lines.clone();
        let found = |lines: &Vec<String>| lines.iter().any(|line| line.starts_with(start));
        match within(start, lines.wait_for(found)).await {
            Ok(lines) => lines.iter().find(|line| line.starts_with(start)).cloned(),
            Err(_) => None,
        }
        .unwrap_or_else(|| {
            panic!(
                "the server ended without '{start}'; its log:\n{}",
                self.log()
            )
        })
    }

    /// What it has printed so far.
    pub fn stdout(&self) -> Vec<String> {
        self.running().lines.borrow().clone()
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("the server runs")
    }

    fn log_path(&self, start: usize) -> PathBuf {
        self.folder().join(format!("server-{start}.log"))
    }

    fn log_of(&self, start: usize) -> String {
        std::fs::read_to_string(self.log_path(start)).unwrap_or_default()
    }

    /// The log of its last start.
    pub fn log(&self) -> String {
        self.log_of(self.starts)
    }

    /// The logs of all its starts.
    pub fn logs(&self) -> String {
        (1..=self.starts).map(|start| self.log_of(start)).collect()
    }

    /// Where it listens.
    ///
    /// # Panics
    /// When it does not run, or has not said so yet.
    pub fn address(&self) -> SocketAddr {
        let lines = self.running().lines.borrow();
        let address = lines
            .iter()
            .find_map(|line| line.strip_prefix("listening on "))
            .and_then(|url| url.split_once("://"))
            .map(|(_, address)| address);
        address
            .expect("the server listens")
            .parse()
            .expect("an address and a port")
    }

    /// A client of the default tenant.
    pub async fn client(&self) -> Client {
        Client::connect(self.address()).await
    }

    /// The process.
    ///
    /// # Panics
    /// When it does not run.
    pub fn pid(&self) -> u32 {
        self.running()
            .child
            .id()
            .expect("the process has not been waited for")
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid())
            .ok()
            .and_then(Pid::from_raw)
            .expect("a process has a pid");
        kill_process(pid, signal).expect("our own process can be signalled");
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Stops it where it is with SIGSTOP, until [`Self::resume`].
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Has it go on with SIGCONT.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Kills it with SIGKILL, and waits until it is gone.
    pub async fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.ended().await;
    }

    /// Waits until it is gone, by itself or by a signal that it got.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn ended(&mut self) -> ExitStatus {
        let mut running = self.running.take().expect("the server runs");
        within("the end of the server", running.child.wait())
            .await
            .expect("it can be waited for")
    }

    /// Stops it with SIGTERM, and starts it again.
    ///
    /// # Panics
    /// When it does not stop well.
    pub async fn restart(&mut self) {
        self.terminate();
        let status = self.ended().await;
        assert!(
            status.success(),
            "the server stopped badly: {status}; its log:\n{}",
            self.log()
        );
        self.launch().await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines.len().saturating_sub(40);
            self.folder.disable_cleanup(true);
            eprintln!(
                "the server's folder is kept: {}",
                self.folder.path().display()
            );
            eprintln!("the server's log ends:\n{}", lines[tail..].join("\n"));
        }
    }
}
