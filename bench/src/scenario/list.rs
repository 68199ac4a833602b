//! Lists of all pods of a namespace, in one answer and in pages: from the request to the last byte.

use std::time::Instant;

use anyhow::ensure;
use bytes::{Buf as _, Bytes};
use hdrhistogram::Histogram;
use k8shost_proto::v1;
use prost::Message as _;

use crate::{
    client::{Chunks, Connection, PREFIX},
    host::{Bench, Target},
    load::{histogram, micros},
    report::{Latency, Run, Section, Unit},
    template::call,
};

/// An answer of which no item is decoded.
#[derive(Clone, PartialEq, prost::Message)]
struct Page {
    #[prost(message, optional, tag = "1")]
    metadata: Option<v1::ListMeta>,
    #[prost(bytes = "bytes", repeated, tag = "2")]
    items: Vec<Bytes>,
}

pub(super) async fn run(bench: &Bench, section: &mut Section) -> anyhow::Result<()> {
    let target = bench.target("list").await?;
    let (count, page) = (bench.sizes.pods, bench.sizes.page);
    bench.fill(&target.pool, target.pods()?, count).await?;

    let whole = lists(bench, &target, 0, section, "list in one answer").await?;
    let paged = lists(bench, &target, page, section, &format!("list by {page}")).await?;
    section.about = format!(
        "{count} pods, {} runs each, on one connection",
        bench.sizes.lists
    );
    let p50 = Latency::from(&whole.latencies).p50_ms;
    section
        .figure("list in one answer, p50", p50, Unit::Ms)
        .under(100.0)
        .peer(520.0);
    section
        .figure("list in one answer", whole.bytes as f64, Unit::Bytes)
        .peer(45e6);
    let p50 = Latency::from(&paged.latencies).p50_ms;
    section
        .figure(format!("list by {page}, p50"), p50, Unit::Ms)
        .under(100.0);
    target.close().await
}

struct Lists {
    latencies: Histogram<u64>,
    bytes: usize,
}

/// Lists again and again; a limit of 0 means one answer.
async fn lists(
    bench: &Bench,
    target: &Target,
    limit: i64,
    section: &mut Section,
    name: &str,
) -> anyhow::Result<Lists> {
    let mut connection = target.pool.connection(0);
    let (mut latencies, mut bytes) = (histogram(), 0);
    let meter = target.meter();
    for _ in 0..bench.sizes.lists {
        let started = Instant::now();
        let mut token = String::new();
        let (mut items, mut last) = (0, started);
        bytes = 0;
        loop {
            let answer = page(&mut connection, &target.namespace, limit, token).await?;
            last = last.max(Instant::now());
            bytes += PREFIX + answer.remaining();
            let page = Page::decode(answer)?;
            items += page.items.len() as u64;
            token = page
                .metadata
                .and_then(|metadata| metadata.continue_token)
                .unwrap_or_default();
            if token.is_empty() {
                break;
            }
        }
        ensure!(
            items == bench.sizes.pods,
            "the list has {items} items of {}",
            bench.sizes.pods
        );
        latencies.saturating_record(micros(last - started));
    }
    let usage = meter.usage();
    section.runs.push(Run {
        name: name.to_owned(),
        per_second: None,
        latency: (&latencies).into(),
        usage,
    });
    Ok(Lists { latencies, bytes })
}

async fn page(
    connection: &mut Connection,
    namespace: &str,
    limit: i64,
    continue_token: String,
) -> anyhow::Result<Chunks> {
    let request = v1::ListPodsRequest {
        namespace: namespace.to_owned(),
        limit,
        continue_token,
        ..Default::default()
    };
    Ok(connection
        .fetch(call("/k8shost.v1.PodService/ListPods", &request))
        .await?)
}

/// The first page of the default tenant's pods, in all its namespaces: how many items it has.
pub(super) async fn first_page(connection: &mut Connection, limit: i64) -> anyhow::Result<usize> {
    let answer = page(connection, "", limit, String::new()).await?;
    Ok(Page::decode(answer)?.items.len())
}

/// The resourceVersion of the namespace's present state.
pub(super) async fn resource_version(
    connection: &mut Connection,
    namespace: &str,
) -> anyhow::Result<String> {
    let answer = page(connection, namespace, 1, String::new()).await?;
    let metadata = Page::decode(answer)?.metadata.unwrap_or_default();
    Ok(metadata.resource_version.unwrap_or_default())
}
