//! The control of a cluster in another process: one JSON value a line, over TCP.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

use crate::chaos::{Chaos, ChaosHandle};
use crate::cluster::Cluster;
use crate::faults::Rule;

/// What can be asked of a cluster, as [`Cluster`]'s methods of these names. Keys are text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "each is the method of its name")]
pub enum Command {
    Split {
        key: String,
    },
    Merge {
        key: String,
    },
    MoveLeader {
        key: String,
        store: u64,
    },
    MovePeer {
        key: String,
        from: u64,
        to: u64,
    },
    Depose {
        key: String,
    },
    Elect,
    StopStore {
        store: u64,
    },
    StartStore {
        store: u64,
    },
    FreezeStore {
        store: u64,
    },
    ThawStore {
        store: u64,
    },
    StopPd {
        member: usize,
    },
    StartPd {
        member: usize,
    },
    FreezePd {
        member: usize,
    },
    ThawPd {
        member: usize,
    },
    SetPdLeader {
        member: Option<usize>,
    },
    SetFaults {
        rules: Vec<Rule>,
    },
    AddFault {
        rule: Rule,
    },
    FaultHits,
    ReleaseHeld,
    Counters,
    ResetCounters,
    /// The regions: id, range, epoch, the stores of the peers, the store of the leader.
    Regions,
    /// The addresses of PD members and stores.
    Addresses,
    Get {
        key: String,
    },
    Scan {
        prefix: String,
    },
    Put {
        key: String,
        value: Option<String>,
    },
    /// Starts a chaos; one that is under way is stopped before.
    Chaos {
        chaos: Box<Chaos>,
    },
    /// Stops it; answers how many changes there were.
    StopChaos,
}

/// Serves control on a port of this machine (0: any), until the runtime ends.
pub async fn serve_control(cluster: Cluster, port: u16) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let address = listener.local_addr()?;
    let chaos = Arc::new(Mutex::new(None));
    tokio::spawn(async move {
        // An error here is a connection that was gone before it was accepted.
        loop {
            if let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(cluster.clone(), chaos.clone(), stream));
            }
        }
    });
    Ok(address)
}

async fn converse(
    cluster: Cluster,
    chaos: Arc<Mutex<Option<ChaosHandle>>>,
    stream: TcpStream,
) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    while let Some(line) = lines.next_line().await? {
        let result = match serde_json::from_str(&line) {
            Ok(command) => execute(&cluster, &chaos, command).await,
            Err(error) => Err(error.to_string()),
        };
        let answer = match result {
            Ok(value) => json!({ "ok": value }),
            Err(error) => json!({ "error": error }),
        };
        writer.write_all(format!("{answer}\n").as_bytes()).await?;
    }
    Ok(())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// An answer without content, or what went wrong.
fn done<E: ToString>(result: Result<(), E>) -> Result<Value, String> {
    result
        .map(|()| Value::Null)
        .map_err(|error| error.to_string())
}

fn value(value: impl Serialize) -> Result<Value, String> {
    serde_json::to_value(value).map_err(|error| error.to_string())
}

async fn execute(
    cluster: &Cluster,
    chaos: &Mutex<Option<ChaosHandle>>,
    command: Command,
) -> Result<Value, String> {
    match command {
        Command::Split { key } => done(cluster.split(key)),
        Command::Merge { key } => done(cluster.merge(key)),
        Command::MoveLeader { key, store } => done(cluster.move_leader(key, store)),
        Command::MovePeer { key, from, to } => done(cluster.move_peer(key, from, to)),
        Command::Depose { key } => {
            cluster.depose(key);
            Ok(Value::Null)
        }
        Command::Elect => {
            cluster.elect();
            Ok(Value::Null)
        }
        Command::StopStore { store } => done(cluster.stop_store(store).await),
        Command::StartStore { store } => done(cluster.start_store(store).await),
        Command::FreezeStore { store } => done(cluster.freeze_store(store)),
        Command::ThawStore { store } => done(cluster.thaw_store(store)),
        Command::StopPd { member } => done(cluster.stop_pd(member).await),
        Command::StartPd { member } => done(cluster.start_pd(member).await),
        Command::FreezePd { member } => done(cluster.freeze_pd(member)),
        Command::ThawPd { member } => done(cluster.thaw_pd(member)),
        Command::SetPdLeader { member } => done(cluster.set_pd_leader(member)),
        Command::SetFaults { rules } => {
            cluster.set_faults(rules);
            Ok(Value::Null)
        }
        Command::AddFault { rule } => {
            cluster.add_fault(rule);
            Ok(Value::Null)
        }
        Command::FaultHits => value(cluster.fault_hits()),
        Command::ReleaseHeld => {
            cluster.release_held();
            Ok(Value::Null)
        }
        Command::Counters => value(cluster.counters()),
        Command::ResetCounters => {
            cluster.reset_counters();
            Ok(Value::Null)
        }
        Command::Regions => Ok(regions(cluster)),
        Command::Addresses => Ok(addresses(cluster)),
        Command::Get { key } => value(cluster.get(key).map(|found| text(&found))),
        Command::Scan { prefix } => {
            let pairs = cluster.scan(prefix).into_iter();
            value(
                pairs
                    .map(|(key, found)| (text(&key), text(&found)))
                    .collect::<Vec<_>>(),
            )
        }
        Command::Put { key, value } => done(cluster.put(key, value.map(String::into_bytes))),
        Command::Chaos { chaos: wanted } => {
            let mut running = chaos.lock().await;
            if let Some(running) = running.take() {
                running.stop().await;
            }
            *running = Some(cluster.chaos(*wanted));
            Ok(Value::Null)
        }
        Command::StopChaos => match chaos.lock().await.take() {
            Some(running) => value(running.stop().await),
            None => Err("there is no chaos".to_owned()),
        },
    }
}

/// The addresses as the binary prints them.
pub(crate) fn addresses(cluster: &Cluster) -> Value {
    json!({ "pd": cluster.pd_endpoints(), "stores": cluster.store_addresses() })
}

fn regions(cluster: &Cluster) -> Value {
    let regions = cluster.regions().into_iter().map(|region| {
        let peers: Vec<u64> = region.peers.iter().map(|peer| peer.store).collect();
        json!({
            "id": region.id,
            "start": text(&region.start),
            "end": text(&region.end),
            "conf_ver": region.conf_ver,
            "version": region.version,
            "stores": peers,
            "leader": region.leader,
        })
    });
    regions.collect()
}

/// The other end: controls a cluster in another process.
#[derive(Debug)]
pub struct Control {
    writer: OwnedWriteHalf,
    lines: Lines<BufReader<OwnedReadHalf>>,
}

impl Control {
    /// Connects to the address that the binary printed.
    pub async fn connect(address: &str) -> io::Result<Control> {
        let (reader, writer) = TcpStream::connect(address).await?.into_split();
        let lines = BufReader::new(reader).lines();
        Ok(Control { writer, lines })
    }

    /// Has one command done, and returns its answer, `null` where it has none to give.
    pub async fn call(&mut self, command: &Command) -> io::Result<Value> {
        let mut line = serde_json::to_string(command)?;
        line.push('\n');
        self.writer.write_all(line.as_bytes()).await?;
        let answer = self.lines.next_line().await?;
        let answer = answer.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut answer: Value = serde_json::from_str(&answer)?;
        match answer.get("error") {
            Some(error) => Err(io::Error::other(error.to_string())),
            None => Ok(answer["ok"].take()),
        }
    }
}
