//! What the store is asked for, counted: requests to the cluster for each thing that clients do, and for
//! doing nothing. The figures in docs/planning.md are what this prints.

use std::{fmt, ops::Sub, time::Duration};

use k8shost_kv_cluster::{Action, Cluster, Config, Rule};
use k8shost_tests::{Client, NODE, POD, Server, merge, pod, revision, until};
use serde_json::json;

/// Requests to the stores, and the keys that were put or read in batches.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Cost {
    swaps: u64,
    gets: u64,
    puts: u64,
    put_keys: u64,
    batch_gets: u64,
    batch_keys: u64,
    range_deletes: u64,
    scans: u64,
}

impl Sub for Cost {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            swaps: self.swaps - before.swaps,
            gets: self.gets - before.gets,
            puts: self.puts - before.puts,
            put_keys: self.put_keys - before.put_keys,
            batch_gets: self.batch_gets - before.batch_gets,
            batch_keys: self.batch_keys - before.batch_keys,
            range_deletes: self.range_deletes - before.range_deletes,
            scans: self.scans - before.scans,
        }
    }
}

impl Cost {
    fn of(cluster: &Cluster) -> Self {
        let mut cost = Self::default();
        for (method, count) in cluster.counters() {
            let (requests, keys) = (count.requests, count.keys);
            match method.as_str() {
                "RawCompareAndSwap" => cost.swaps += requests,
                "RawGet" => cost.gets += requests,
                "RawPut" | "RawDelete" | "RawBatchPut" | "RawBatchDelete" => {
                    cost.puts += requests;
                    cost.put_keys += keys;
                }
                "RawBatchGet" => {
                    cost.batch_gets += requests;
                    cost.batch_keys += keys;
                }
                "RawDeleteRange" => cost.range_deletes += requests,
                "RawScan" | "RawBatchScan" => cost.scans += requests,
                // Of PD.
                _ => {}
            }
        }
        cost
    }
}

/// A figure for each of so many.
struct Each<'a>(&'a Cost, u64);

impl fmt::Display for Each<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cost {
            swaps,
            gets,
            puts,
            put_keys,
            batch_gets,
            batch_keys,
            range_deletes,
            scans,
        } = *self.0;
        for (name, figure) in [
            ("swaps", swaps),
            ("gets", gets),
            ("puts", puts),
            ("keys put", put_keys),
            ("batch gets", batch_gets),
            ("keys got", batch_keys),
            ("range deletes", range_deletes),
            ("scans", scans),
        ] {
            if figure != 0 {
                write!(f, "{:.3} {name}, ", figure as f64 / self.1 as f64)?;
            }
        }
        write!(f, "each of {}", self.1)
    }
}

async fn start(args: &[&str]) -> (Cluster, Server, Client) {
    let cluster = Cluster::start(Config::new(3)).await.expect("it starts");
    let store = format!("tikv://{}", cluster.pd_endpoints().join(","));
    let server = Server::with(&[&["--store", &store], args].concat()).await;
    let client = server.client().await;
    until("the server", async || {
        client.list(NODE, json!({})).await.ok()
    })
    .await;
    (cluster, server, client)
}

/// What goes on until nothing more is written.
async fn settled(cluster: &Cluster) -> Cost {
    loop {
        let before = Cost::of(cluster);
        tokio::time::sleep(Duration::from_secs(3)).await;
        let after = Cost::of(cluster);
        // The server's own lease is renewed meanwhile.
        if (after - before).put_keys <= 1 {
            return after;
        }
    }
}

/// So many callers create pods, one after the other each.
async fn create(client: &Client, callers: usize, each: usize) {
    let work = (0..callers).map(|caller| async move {
        for number in 0..each {
            let name = format!("c{callers}-{caller}-{number}");
            client.create(POD, pod(&name)).await.expect("a new pod");
        }
    });
    futures::future::join_all(work).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_costs_a_share_of_a_swap_and_of_a_put() {
    let (cluster, server, client) = start(&[]).await;
    let client = client.make_tenant("acme", "web").await;
    client.create(POD, pod("first")).await.unwrap();
    // At most so many swaps for each create.
    for (callers, each, most) in [(1, 200, 1.05), (64, 20, 0.2), (1024, 4, 0.1)] {
        let creates = (callers * each) as u64;
        let (before, used) = (settled(&cluster).await, cpu(&server));
        create(&client, callers, each).await;
        let cost = settled(&cluster).await - before;
        let used = (cpu(&server) - used) / creates;
        eprintln!(
            "create, {callers} callers: {used} µs CPU, {}",
            Each(&cost, creates)
        );
        let share = cost.swaps as f64 / creates as f64;
        assert!(share <= most, "{share} swaps for each create");
        // Each object once under its own key, several to a request.
        assert!(cost.put_keys >= creates, "{cost:?}");
        assert!(cost.put_keys <= creates + 20, "{cost:?}");
        assert!(cost.puts <= 20 + creates / 8, "{cost:?}");
        assert!(cost.gets + cost.scans <= 60, "{cost:?}");
    }
    // An object that changes ten times within the second is put once.
    let before = settled(&cluster).await;
    for number in 0..10 {
        let label = json!({"metadata": {"labels": {"n": number.to_string()}}});
        client
            .update(POD, merge(pod("first"), label))
            .await
            .unwrap();
    }
    let cost = settled(&cluster).await - before;
    eprintln!("update, 1 caller: {}", Each(&cost, 10));
    assert!((10..=14).contains(&cost.swaps), "{cost:?}");
    assert!((1..=6).contains(&cost.put_keys), "{cost:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consistent_read_costs_a_get_and_shares_it() {
    let (cluster, _server, client) = start(&[]).await;
    let client = client.make_tenant("acme", "web").await;
    client.create(POD, pod("first")).await.unwrap();
    settled(&cluster).await;
    for (callers, each, most) in [(1, 200, 1.1), (64, 50, 0.3), (1024, 5, 0.3)] {
        let before = Cost::of(&cluster);
        let work = (0..callers).map(|_| async {
            for _ in 0..each {
                client.get(POD, "default", "first").await.unwrap();
            }
        });
        futures::future::join_all(work).await;
        let cost = Cost::of(&cluster) - before;
        eprintln!("get, {callers} callers: {}", Each(&cost, callers * each));
        let share = cost.gets as f64 / (callers * each) as f64;
        assert!(share <= most, "{share} gets for each read");
    }
    let before = Cost::of(&cluster);
    let old = json!({"resourceVersion": "0"});
    for _ in 0..100 {
        client.list(POD, old.clone()).await.unwrap();
    }
    let cost = Cost::of(&cluster) - before;
    eprintln!("list of resourceVersion=0: {}", Each(&cost, 100));
    assert!(cost.gets <= 5, "{cost:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_tenant_costs_nothing_and_a_watched_one_a_key_a_second() {
    const TENANTS: u64 = 100;
    const SECONDS: u64 = 15;
    // What is done once in five minutes is done once in four seconds. (With less than twice the polling
    // interval, each poll would need proof.)
    let quick = [
        "--safety-window",
        "4s",
        "--retention",
        "1s",
        "--idle-after",
        "1s",
    ];
    let (cluster, _server, client) = start(&quick).await;
    let rule = Rule::new(Action::delay(0)).key_prefix("k8s/many/");
    cluster.set_faults(vec![rule]);
    let touched = || cluster.fault_hits()[0];
    let before = Cost::of(&cluster);
    for number in 0..TENANTS {
        let tenant = client.make_tenant("many", &format!("p{number}")).await;
        tenant.create(POD, pod("first")).await.unwrap();
    }
    let is_log = |key: &[u8]| key.windows(5).any(|part| part == b"@log/");
    until("truncation", async || {
        let left = cluster.scan("k8s/many/");
        (!left.iter().any(|(key, _)| is_log(key))).then_some(())
    })
    .await;
    let cost = settled(&cluster).await - before;
    eprintln!("project, first pod, truncation: {}", Each(&cost, TENANTS));
    let before = touched();
    tokio::time::sleep(Duration::from_secs(SECONDS)).await;
    assert_eq!(touched() - before, 0, "idle tenants");

    let before = Cost::of(&cluster);
    let mut watches = Vec::new();
    for number in 0..TENANTS {
        let tenant = client.of("many", &format!("p{number}"));
        watches.push(tenant.watch(POD, json!({})).await.unwrap());
    }
    let cost = Cost::of(&cluster) - before;
    eprintln!("load, by a watch: {}", Each(&cost, TENANTS));
    assert!(cost.gets + cost.scans <= 12 * TENANTS, "{cost:?}");
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (before, hits) = (Cost::of(&cluster), touched());
    tokio::time::sleep(Duration::from_secs(SECONDS)).await;
    let cost = Cost::of(&cluster) - before;
    eprintln!(
        "second of a watched tenant: {}",
        Each(&cost, TENANTS * SECONDS)
    );
    // One request a second for all of them, with a key of each.
    assert!(
        touched() - hits <= 2 * SECONDS,
        "{} requests",
        touched() - hits
    );
    assert!(cost.batch_keys >= TENANTS * (SECONDS - 2), "{cost:?}");
    assert!(
        cost.batch_keys <= TENANTS * (SECONDS + 2) + SECONDS,
        "{cost:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_at_rest_cost_their_leases() {
    const SERVERS: u64 = 3;
    let (cluster, first, _) = start(&[]).await;
    let store = format!("tikv://{}", cluster.pd_endpoints().join(","));
    let mut servers = vec![first];
    while servers.len() < SERVERS as usize {
        servers.push(Server::with(&["--store", &store]).await);
    }
    tokio::time::sleep(Duration::from_secs(12)).await;
    let before = Cost::of(&cluster);
    tokio::time::sleep(Duration::from_secs(20)).await;
    let cost = Cost::of(&cluster) - before;
    eprintln!("20 s of 3 servers at rest: {}", Each(&cost, SERVERS));
    // Two renewals each, or three; a swap finds what each of the others has renewed since the last.
    assert!(cost.swaps <= 3 * SERVERS * SERVERS, "{cost:?}");
    assert!(cost.gets <= 3 * 5 * SERVERS, "{cost:?}");
    assert_eq!(cost.scans, 0, "{cost:?}");
}

/// A number from the environment, for a run that is larger than the usual.
fn size(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).map_or(usual, |text| text.parse().expect("a number"))
}

/// CPU time that the server has used, in µs; in steps of 10 ms.
fn cpu(server: &Server) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.pid()));
    let stat = stat.expect("the server runs");
    // Behind the name, which may have anything in it: user time is the twelfth, system time the next.
    let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.map(|t| t.parse::<u64>().expect("a number")).sum();
    ticks * 10_000
}

/// Resident memory, in KiB.
fn memory(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid()));
    let status = status.expect("the server runs");
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    let size = line.and_then(|line| line.trim().strip_suffix(" kB"));
    size.and_then(|kib| kib.parse().ok()).expect("a size")
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_in_memory_cost_their_objects() {
    let (tenants, pods) = (
        size("K8SHOST_TEST_TENANTS", 100),
        size("K8SHOST_TEST_PODS", 20),
    );
    let (cluster, mut server, client) = start(&["--idle-after", "1s"]).await;
    let padding = json!({"metadata": {"annotations": {"note": "x".repeat(1_300)}}});
    for number in 0..tenants {
        let tenant = client.make_tenant("many", &format!("p{number}")).await;
        let work = (0..pods).map(|pod_number| {
            let object = merge(pod(&format!("p{pod_number}")), padding.clone());
            let tenant = &tenant;
            async move { tenant.create(POD, object).await.unwrap() }
        });
        futures::future::join_all(work).await;
    }
    settled(&cluster).await;
    server.restart().await;
    let client = server.client().await;
    until("the server", async || {
        client.list(NODE, json!({})).await.ok()
    })
    .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let empty = memory(&server);
    let mut watches = Vec::new();
    for number in 0..tenants {
        let tenant = client.of("many", &format!("p{number}"));
        let list = tenant.list(POD, json!({})).await.unwrap();
        assert_eq!(list["items"].as_array().unwrap().len() as u64, pods);
        let version = json!({"resourceVersion": revision(&list).to_string()});
        watches.push(tenant.watch(POD, version).await.unwrap());
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let loaded = memory(&server);
    let each = (loaded - empty) as f64 / tenants as f64;
    eprintln!(
        "{empty} KiB without tenants, {loaded} KiB with {tenants} watched of {pods} pods each: \
         {each:.1} KiB a tenant"
    );
    assert!(each < 64.0 + 8.0 * pods as f64);
}
