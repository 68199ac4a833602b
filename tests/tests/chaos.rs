//! Three servers over a cluster that breaks all the time, and clients that write down what they were
//! told: stores go and come back, regions split and merge, servers are killed, stopped and left for
//! longer than the safety window, and started. What clients saw must be one history.
//!
//! `K8SHOST_TEST_CHAOS` says for how many seconds, `K8SHOST_TEST_SEED` repeats the choices of a run
//! (what they meet depends on timing). A long run is made of rounds, each with a cluster of its own.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use k8shost_kv_cluster::{Chaos, Cluster, Config};
use k8shost_tests::{
    Client, Kind, NODE, POD, Random, SERVICE, Server,
    history::{Asked, COLOR, Stream, Tenant, Told, Version, WRITE},
    merge, pod, reason, revision, run, service, until,
};
use serde_json::{Value, json};
use tonic::{Code, Status};

/// How long a round is, at most.
const ROUND: Duration = Duration::from_secs(75);
/// The safety window, which in production is five minutes.
const WINDOW: Duration = Duration::from_secs(8);
const RETENTION: &str = "15s";
const SERVERS: usize = 3;
const WORKERS: usize = 24;
const TENANTS: [(&str, &str); 3] = [("acme", "web"), ("acme", "shop"), ("umbrella", "lab")];
/// Few, so that clients meet.
const NAMES: u64 = 8;

/// What all tasks of a round share.
struct Round {
    /// A client of each server that takes calls: what a load balancer knows.
    fronts: Mutex<Vec<Option<Client>>>,
    histories: Vec<Tenant>,
    /// No more calls.
    over: AtomicBool,
    /// The last revision of each tenant, once there is nothing more to come.
    last: Vec<AtomicU64>,
}

impl Round {
    fn set(&self, server: usize, client: Option<Client>) {
        let mut fronts = self.fronts.lock().unwrap_or_else(PoisonError::into_inner);
        fronts[server] = client;
    }

    /// A client of any server that takes calls, for a tenant.
    async fn client(&self, random: &mut Random, tenant: usize) -> Client {
        loop {
            let found = {
                let fronts = self.fronts.lock().unwrap_or_else(PoisonError::into_inner);
                random.pick(&fronts).clone()
            };
            if let Some(client) = found {
                let (org, project) = TENANTS[tenant];
                return client.of(org, project);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// What a status says, if it is clear.
fn told(status: &Status) -> Told {
    match status.code() {
        Code::NotFound => Told::NotFound,
        Code::AlreadyExists => Told::AlreadyExists,
        Code::Aborted => Told::Conflict,
        // The connection is gone, the server stops, the cluster is away, or the time is over.
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown => {
            Told::Unknown
        }
        // The same, as tonic tells it when the connection said goodbye first: a server that stops waits for
        // what is under way no longer than its drain timeout.
        Code::Internal if format!("{status:?}").contains("NO_ERROR, Remote") => Told::Unknown,
        _ => panic!("nobody was to be told: {status:?}"),
    }
}

fn object(kind: Kind, name: &str, number: u64, random: &mut Random) -> Value {
    let object = if kind == POD {
        pod(name)
    } else {
        service(name)
    };
    let color = random.pick(&["red", "blue", "green"]);
    let more = json!({"metadata": {
        "namespace": "default",
        "annotations": {WRITE: number.to_string()},
        "labels": {COLOR: color},
    }});
    merge(object, more)
}

fn list_request(red: bool, any: bool) -> Value {
    let selector = if red {
        format!("{COLOR}=red")
    } else {
        String::new()
    };
    let version = if any { "0" } else { "" };
    json!({"labelSelector": selector, "resourceVersion": version})
}

async fn list(client: &Client, tenant: &Tenant, kind: Kind, red: bool, any: bool) -> Option<u64> {
    let call = tenant.begin(kind, "", Asked::List { red, any });
    let answer = client.list(kind, list_request(red, any)).await;
    let told = match answer {
        Ok(list) => {
            let items = list["items"].as_array().expect("a list has items");
            let mut versions: Vec<_> = items.iter().map(|item| Version::of(kind, item)).collect();
            // The `kubernetes` Service and what else nobody wrote here.
            versions.retain(|version| version.write != 0);
            Told::Listed(revision(&list), versions)
        }
        Err(status) => told(&status),
    };
    let listed = match &told {
        Told::Listed(revision, _) => Some(*revision),
        _ => None,
    };
    tenant.end(call, told);
    listed
}

/// One call after the other, each of any kind, to any server and tenant.
async fn work(round: Arc<Round>, mut random: Random) {
    while !round.over.load(Ordering::Relaxed) {
        let which = random.below(TENANTS.len() as u64) as usize;
        let tenant = &round.histories[which];
        // What is not answered by then is told as unknown, by client or server.
        let client = round.client(&mut random, which).await;
        let client = client.with("grpc-timeout", "4S");
        let kind = *random.pick(&[POD, POD, SERVICE]);
        let name = format!("x{}", random.below(NAMES));
        let done = |answer: Result<Value, Status>| match answer {
            Ok(object) => Told::Done(Version::of(kind, &object)),
            Err(status) => told(&status),
        };
        match random.below(100) {
            0..25 => {
                let number = tenant.number();
                let object = object(kind, &name, number, &mut random);
                let call = tenant.begin(kind, &name, Asked::Create(number));
                tenant.end(call, done(client.create(kind, object).await));
            }
            25..65 => {
                let call = tenant.begin(kind, &name, Asked::Get);
                let found = done(client.get(kind, "default", &name).await);
                tenant.end(call, found.clone());
                // Perhaps somebody else is faster, perhaps that does not matter.
                let given = match found {
                    Told::Done(version) if !random.one_in(4) => Some(version.revision),
                    Told::Done(_) | Told::NotFound => None,
                    _ => continue,
                };
                let number = tenant.number();
                let mut object = object(kind, &name, number, &mut random);
                if let Some(given) = given {
                    object["metadata"]["resourceVersion"] = given.to_string().into();
                }
                let client = round.client(&mut random, which).await;
                let client = client.with("grpc-timeout", "4S");
                let call = tenant.begin(kind, &name, Asked::Update(number, given));
                tenant.end(call, done(client.update(kind, object).await));
            }
            65..80 => {
                let call = tenant.begin(kind, &name, Asked::Delete);
                tenant.end(call, done(client.delete(kind, "default", &name).await));
            }
            _ => {
                let (red, any) = (random.one_in(2), random.one_in(3));
                list(&client, tenant, kind, red, any).await;
            }
        }
        tokio::time::sleep(Duration::from_millis(random.below(20))).await;
    }
}

/// Watches one kind of one tenant to the end, now at this server and now at that one. Where none can
/// resume, a new stream begins.
async fn watch(round: Arc<Round>, which: usize, kind: Kind, red: bool, mut random: Random) -> u64 {
    let tenant = &round.histories[which];
    let mut expired = 0;
    loop {
        let start = loop {
            let client = round.client(&mut random, which).await;
            if let Some(start) = list(&client, tenant, kind, red, false).await {
                break start;
            }
        };
        let mut stream = Stream::new(kind, red, start);
        let ended = resume(&round, which, &mut stream, &mut random).await;
        tenant.close(stream);
        if ended {
            return expired;
        }
        expired += 1;
    }
}

/// Follows a stream until the end (true), or until no server has what comes next (false).
async fn resume(round: &Round, which: usize, stream: &mut Stream, random: &mut Random) -> bool {
    let tenant = &round.histories[which];
    let mut refusals = 0;
    loop {
        let client = round.client(random, which).await;
        let mut request = list_request(stream.red(), false);
        request["resourceVersion"] = stream.position().to_string().into();
        request["allowBookmarks"] = true.into();
        let until = Instant::now() + Duration::from_millis(500 + random.below(8_000));
        let mut error = None;
        match tokio::time::timeout(WINDOW, client.watch(stream.kind(), request)).await {
            Ok(Ok(mut events)) => loop {
                let last = round.last[which].load(Ordering::SeqCst);
                if stream.position() >= last {
                    return true;
                }
                let wait = until.saturating_duration_since(Instant::now());
                match tokio::time::timeout(wait, events.next()).await {
                    Ok(Ok(Some(event))) => {
                        refusals = 0;
                        tenant.seen(stream, &event);
                    }
                    Ok(Err(status)) => {
                        error = Some(status);
                        break;
                    }
                    // The end, or another server's turn.
                    Ok(Ok(None)) | Err(_) => break,
                }
            },
            Ok(Err(status)) => error = Some(status),
            Err(_) => {}
        }
        let Some(status) = error else { continue };
        if status.code() == Code::OutOfRange {
            assert_eq!(reason(&status), "Expired", "{status:?}");
            refusals += 1;
            if refusals == 4 * SERVERS {
                return false;
            }
        } else {
            assert_eq!(told(&status), Told::Unknown, "{status:?}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Kills, stops, pauses and starts a server until the round is over, and leaves it running.
async fn trouble(
    round: Arc<Round>,
    which: usize,
    mut server: Server,
    until: Instant,
    mut random: Random,
) -> (Server, BTreeMap<&'static str, usize>) {
    let mut done = BTreeMap::new();
    loop {
        let calm = Duration::from_millis(2_000 + random.below(8_000));
        if Instant::now() + calm >= until {
            tokio::time::sleep(until.saturating_duration_since(Instant::now())).await;
            return (server, done);
        }
        tokio::time::sleep(calm).await;
        let what = *random.pick(&[
            "kill",
            "terminate",
            "long pause",
            "pause",
            "kill in a pause",
        ]);
        *done.entry(what).or_default() += 1;
        if what.contains("pause") {
            server.pause();
            let longer = WINDOW + Duration::from_millis(random.below(4_000));
            let (noticed, rest) = match what {
                "long pause" => (Duration::from_secs(1), longer),
                _ => (Duration::from_millis(random.below(1_000)), Duration::ZERO),
            };
            tokio::time::sleep(noticed).await;
            if !rest.is_zero() {
                // A load balancer takes it out of the rotation, and back in.
                round.set(which, None);
                tokio::time::sleep(rest).await;
            }
        }
        match what {
            "kill" | "kill in a pause" => {
                round.set(which, None);
                server.kill().await;
            }
            "terminate" => {
                server.terminate();
                round.set(which, None);
                server.ended().await;
            }
            _ => server.resume(),
        }
        if what.contains("kill") || what == "terminate" {
            tokio::time::sleep(Duration::from_millis(random.below(2_000))).await;
            server.launch().await;
        }
        round.set(which, Some(server.client().await));
    }
}

/// A round: what came of each tenant, and what was done to servers.
async fn one_round(length: Duration, seed: u64) {
    let mut random = Random::new(seed);
    let cluster = Cluster::start(Config {
        pd_ports: vec![0; 3],
        seed,
        ..Config::new(3)
    })
    .await
    .expect("it starts");
    let store = format!("tikv://{}", cluster.pd_endpoints().join(","));
    let window = format!("{}s", WINDOW.as_secs());
    let args = [
        "--store",
        &store,
        "--safety-window",
        &window,
        "--retention",
        RETENTION,
        "--idle-after",
        "5s",
        "--bookmark-interval",
        "1s",
    ];
    let mut servers = Vec::new();
    let mut clients = Vec::new();
    for _ in 0..SERVERS {
        let server = Server::with(&args).await;
        let client = server.client().await;
        until("the server", async || {
            client.list(NODE, json!({})).await.ok()
        })
        .await;
        clients.push(Some(client));
        servers.push(server);
    }
    let client = clients[0].clone().expect("it was just made");
    for (org, project) in TENANTS {
        client.make_tenant(org, project).await;
    }
    let round = Arc::new(Round {
        fronts: Mutex::new(clients),
        histories: TENANTS.iter().map(|_| Tenant::default()).collect(),
        over: AtomicBool::new(false),
        last: TENANTS.iter().map(|_| AtomicU64::new(u64::MAX)).collect(),
    });
    let mut watches = Vec::new();
    for which in 0..TENANTS.len() {
        for kind in [POD, SERVICE] {
            for red in [false, false, true] {
                let random = Random::new(random.number());
                watches.push(tokio::spawn(watch(round.clone(), which, kind, red, random)));
            }
        }
    }
    // Each has listed, and nothing has been written yet.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let chaos = cluster.chaos(Chaos {
        interval_ms: 50 + random.below(300),
        ..Chaos::new(seed)
    });
    let until_then = Instant::now() + length;
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| tokio::spawn(work(round.clone(), Random::new(random.number()))))
        .collect();
    let troubles: Vec<_> = servers
        .into_iter()
        .enumerate()
        .map(|(which, server)| {
            let random = Random::new(random.number());
            tokio::spawn(trouble(round.clone(), which, server, until_then, random))
        })
        .collect();
    let mut servers = Vec::new();
    let mut troubled = BTreeMap::new();
    for task in troubles {
        let (server, done) = task.await.expect("servers start again");
        servers.push(server);
        for (what, times) in done {
            *troubled.entry(what).or_insert(0) += times;
        }
    }
    let changes = chaos.stop().await;
    round.over.store(true, Ordering::Relaxed);
    for worker in workers {
        worker.await.expect("only what can be is told");
    }
    let damaged = finish(&round, &mut servers, &store, random).await;
    let mut expired = 0;
    for watch in watches {
        let ended = tokio::time::timeout(Duration::from_secs(60), watch).await;
        let ended = ended.expect("a watch is stuck");
        expired += ended.expect("only what can be is told");
    }
    eprintln!(
        "{changes} changes of the cluster, to servers {troubled:?}, {expired} streams expired"
    );
    for (tenant, (org, project)) in round.histories.iter().zip(TENANTS) {
        let name = format!("{org}/{project}");
        match tenant.check() {
            Ok(summary) => {
                eprintln!("{name}: {summary:?}");
                assert!(
                    summary.changes > 20 && summary.answered > 100,
                    "little was done: {summary:?}"
                );
            }
            // What a write that came later than the protocol allows has broken is not served as if
            // nothing had been: the digest tells.
            Err(wrong) if damaged.contains(&name) => {
                eprintln!(
                    "{name} was reported as damaged; {} things wrong",
                    wrong.len()
                );
            }
            Err(wrong) => {
                let first: Vec<_> = wrong.iter().take(10).collect();
                panic!(
                    "{name}, seed {seed}: {} things wrong: {first:#?}",
                    wrong.len()
                );
            }
        }
    }
}

/// The quiet after: all servers have the same, also after a restart, and the cluster is in order.
/// Returns the tenants that servers have reported as damaged.
async fn finish(
    round: &Round,
    servers: &mut [Server],
    store: &str,
    mut random: Random,
) -> Vec<String> {
    for which in 0..TENANTS.len() {
        let last = last_change(round, which, &mut random).await;
        round.last[which].store(last, Ordering::SeqCst);
    }
    for restarted in [false, true] {
        for (which, server) in servers.iter_mut().enumerate() {
            if restarted {
                server.restart().await;
                round.set(which, Some(server.client().await));
            }
            let client = server.client().await;
            for ((org, project), tenant) in TENANTS.into_iter().zip(&round.histories) {
                let client = client.of(org, project);
                for kind in [POD, SERVICE] {
                    until("a list", async || {
                        list(&client, tenant, kind, false, false).await
                    })
                    .await;
                }
            }
        }
    }
    let logs: String = servers.iter().map(Server::logs).collect();
    let reports: Vec<&str> = logs
        .lines()
        .filter(|line| line.contains("is read-only"))
        .collect();
    let checked = run(&["check", "--store", store], &[], servers[0].folder()).await;
    let mut damaged = Vec::new();
    for (org, project) in TENANTS {
        let name = format!("{org}/{project}");
        if reports.iter().any(|line| line.contains(&name)) {
            damaged.push(name);
        }
    }
    assert!(
        checked.status.success() || !damaged.is_empty(),
        "what no server has reported: {checked:?}"
    );
    damaged
}

/// Creates one more pod, and returns its revision: there is no change after it. 0 if no server has
/// the tenant undamaged.
async fn last_change(round: &Round, which: usize, random: &mut Random) -> u64 {
    let tenant = &round.histories[which];
    let mut damaged = 0;
    loop {
        let client = round.client(random, which).await;
        let number = tenant.number();
        let name = format!("last{number}");
        let object = object(POD, &name, number, random);
        let call = tenant.begin(POD, &name, Asked::Create(number));
        match client.create(POD, object).await {
            Ok(object) => {
                let last = revision(&object);
                tenant.end(call, Told::Done(Version::of(POD, &object)));
                return last;
            }
            Err(status) => {
                damaged += usize::from(status.message().contains("is read-only"));
                tenant.end(call, told(&status));
                if damaged == 4 * SERVERS {
                    return 0;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_clients_see_is_one_history_whatever_breaks() {
    let seconds = std::env::var("K8SHOST_TEST_CHAOS");
    let seconds = seconds.map_or(ROUND.as_secs(), |text| text.parse().expect("seconds"));
    let mut left = Duration::from_secs(seconds);
    let mut seed = Random::seed("K8SHOST_TEST_SEED");
    while !left.is_zero() {
        let length = left.min(ROUND);
        eprintln!("{length:?}, seed {seed}");
        one_round(length, seed).await;
        left -= length;
        seed = Random::new(seed).number();
    }
}
