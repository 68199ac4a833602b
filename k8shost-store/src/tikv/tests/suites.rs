//! The suite of all backends: over a quiet cluster, over one with splits and faults, over a real one.

use std::env;
use std::sync::Arc;
use std::time::Duration;

use k8shost_kv_cluster::{Chaos, ChaosHandle, Cluster, Config};

use super::super::{Options, TikvKv};
use super::{open, options, start};
use crate::conformance::Subject;

/// Three stores; the subject's keys are in several regions.
async fn quiet() -> (Cluster, Subject) {
    let cluster = start(Config::new(3)).await;
    let subject = Subject::new(Arc::new(open_with_time(&cluster)));
    for (part, store) in [
        ("@log/0000000000000005", 2),
        ("b", 3),
        ("pods/", 2),
        ("x0", 3),
    ] {
        let key = format!("{}{part}", subject.prefix());
        cluster.split(&key).unwrap();
        cluster.move_leader(&key, store).unwrap();
    }
    (cluster, subject)
}

/// Where nothing is to be lost, there is time to wait for it.
fn open_with_time(cluster: &Cluster) -> TikvKv {
    TikvKv::open(Options::new(cluster.pd_endpoints())).unwrap()
}

/// Regions split, merge and move all the time, leaders change, requests are refused, lost, applied late.
async fn troubled(seed: u64) -> ((Cluster, ChaosHandle), Subject) {
    let cluster = start(Config {
        seed,
        ..Config::new(4)
    })
    .await;
    let kv = TikvKv::open(Options {
        window: Duration::from_secs(8),
        timeout: Duration::from_secs(1),
        ..options(&cluster)
    });
    let subject = Subject::with_faults(Arc::new(kv.unwrap()), Duration::from_millis(100));
    let chaos = cluster.chaos(Chaos {
        interval_ms: 20,
        max_delay_ms: 20,
        ..Chaos::new(seed).without_outages()
    });
    ((cluster, chaos), subject)
}

/// The cluster that the environment names, if it does.
fn real() -> Option<((), Subject)> {
    let endpoints = env::var("K8SHOST_TEST_PD").ok()?;
    let mut options = Options::new(Options::endpoints(&endpoints).unwrap());
    options.prefix = "k8shost-test/".to_owned();
    Some(((), Subject::new(Arc::new(TikvKv::open(options).unwrap()))))
}

mod over_a_quiet_cluster {
    use super::*;
    crate::kv_conformance_suite!(quiet().await);
}

mod over_splits_and_faults {
    use super::*;
    crate::kv_conformance_suite!(troubled(7).await);
}

mod over_a_real_cluster {
    use super::*;
    crate::kv_conformance_suite!(@optional real());
}

/// With everything: stores and PD go down, freeze and come back.
#[tokio::test(flavor = "multi_thread")]
async fn outages_lose_no_count() {
    let cluster = start(Config {
        pd_ports: vec![0; 3],
        ..Config::new(4)
    })
    .await;
    let kv = Arc::new(open(&cluster));
    let subject = Subject::with_faults(kv.clone(), Duration::from_millis(400));
    let chaos = cluster.chaos(Chaos {
        outage_ms: 100,
        max_delay_ms: 20,
        stop_store: 2,
        freeze_store: 2,
        stop_pd: 2,
        no_pd_leader: 2,
        ..Chaos::new(11)
    });
    crate::conformance::swaps_count_without_loss(&subject)
        .await
        .unwrap();
    chaos.stop().await;
}
