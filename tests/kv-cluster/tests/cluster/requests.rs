//! Every raw call of the unmodified client, over two regions; the limits; what survives a restart.

use crate::common::{client, cluster, failed, plain, requests, start};
use k8shost_kv_cluster::{Cluster, Config, Limits};
use tikv_client::{KvPair, RawClient};

fn key(number: usize) -> String {
    // Half of them before the split at `m`, half behind.
    let half = if number < 50 { 'a' } else { 'x' };
    format!("{half}{number:03}")
}

fn text(pairs: Vec<KvPair>) -> Vec<(String, String)> {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    pairs
        .into_iter()
        .map(|KvPair(key, value)| (text(key.into()), text(value)))
        .collect()
}

async fn fill(client: &RawClient) {
    let pairs = (0..100).map(|number| (key(number), format!("{number}")));
    client.batch_put(pairs).await.unwrap();
}

#[tokio::test]
async fn single_keys_are_put_read_and_deleted() {
    let cluster = cluster().await;
    let client = client(&cluster).await;
    assert_eq!(client.get("a".to_owned()).await.unwrap(), None);
    client.put("a".to_owned(), "1").await.unwrap();
    client.put("z".to_owned(), "").await.unwrap();
    assert_eq!(
        client.get("a".to_owned()).await.unwrap(),
        Some(b"1".to_vec())
    );
    // An empty value is there.
    assert_eq!(client.get("z".to_owned()).await.unwrap(), Some(Vec::new()));
    client.delete("a".to_owned()).await.unwrap();
    client.delete("never".to_owned()).await.unwrap();
    assert_eq!(client.get("a".to_owned()).await.unwrap(), None);
    assert_eq!(requests(&cluster, "RawPut"), 2);
    assert_eq!(requests(&cluster, "RawGet"), 4);
    assert_eq!(requests(&cluster, "GetRegion"), 2);
}

#[tokio::test]
async fn batches_go_to_all_their_regions() {
    let cluster = cluster().await;
    let client = client(&cluster).await;
    fill(&client).await;
    assert_eq!(cluster.len(), 100);
    assert_eq!(requests(&cluster, "RawBatchPut"), 2);
    assert_eq!(cluster.counters()["RawBatchPut"].keys, 100);
    let wanted = [key(99), "nothing".to_owned(), key(3)];
    let mut found = text(client.batch_get(wanted).await.unwrap());
    found.sort();
    let pair = |number| (key(number), number.to_string());
    assert_eq!(found, [pair(3), pair(99)]);
    client.batch_delete((40..60).map(key)).await.unwrap();
    assert_eq!(cluster.len(), 80);
    client.delete_range(key(10)..key(90)).await.unwrap();
    assert_eq!(cluster.len(), 20);
}

#[tokio::test]
async fn a_single_range_is_paged_by_batch_scan() {
    let cluster = cluster().await;
    let client = client(&cluster).await;
    fill(&client).await;
    let mut start = "a".to_owned();
    let mut all = Vec::new();
    loop {
        let range = start.."y".to_owned();
        let mut page = text(client.batch_scan([range], 7).await.unwrap());
        page.sort();
        // The limit is per region.
        assert!(page.len() <= 14);
        page.truncate(7);
        let Some((last, _)) = page.last() else {
            break;
        };
        start = format!("{last}\0");
        all.extend(page);
    }
    let numbers = (0..100).map(|number| (key(number), number.to_string()));
    assert_eq!(all, numbers.collect::<Vec<_>>());
}

#[tokio::test]
async fn compare_and_swap_tells_what_was_there() {
    let cluster = cluster().await;
    let client = client(&cluster).await.with_atomic_for_cas();
    let swap = |previous: Option<&str>, value: &'static str| {
        let previous = previous.map(|previous| previous.as_bytes().to_vec());
        client.compare_and_swap("k".to_owned(), previous, value)
    };
    assert_eq!(swap(None, "1").await.unwrap(), (None, true));
    let one = Some(b"1".to_vec());
    assert_eq!(swap(None, "2").await.unwrap(), (one.clone(), false));
    assert_eq!(swap(Some("0"), "2").await.unwrap(), (one.clone(), false));
    assert_eq!(swap(Some("1"), "2").await.unwrap(), (one, true));
    assert_eq!(cluster.get("k"), Some(b"2".to_vec()));
    // An empty value is another thing than none.
    client.put("e".to_owned(), "").await.unwrap();
    let swapped = client.compare_and_swap("e".to_owned(), None, "1");
    assert_eq!(swapped.await.unwrap(), (Some(Vec::new()), false));
}

#[tokio::test]
async fn a_time_to_live_is_refused() {
    let cluster = cluster().await;
    let client = plain(&cluster, "a").await;
    let put = client.put_with_ttl("a".to_owned(), "1", 60).await;
    assert!(failed(put).contains("ttl is not enabled"));
    let pairs = [("a".to_owned(), "1".to_owned())];
    let batch = client.batch_put_with_ttl(pairs, [60]).await;
    assert!(failed(batch).contains("ttl is not enabled"));
    assert!(cluster.is_empty());
    let ttl = client.get_key_ttl_secs("a".to_owned()).await;
    assert!(failed(ttl).contains("get ttl on non-ttl store"));
}

#[tokio::test]
async fn other_column_families_and_api_versions_are_refused() {
    // Unsplit: a client with a keyspace expects encoded boundaries.
    let cluster = start(Config::new(1)).await;
    let client = plain(&cluster, "a").await;
    let lock = client.with_cf(tikv_client::ColumnFamily::Lock);
    assert!(failed(lock.put("a".to_owned(), "1").await).contains("invalid cf name: lock"));
    let default = client.with_cf(tikv_client::ColumnFamily::Default);
    default.put("a".to_owned(), "1").await.unwrap();
    let config = tikv_client::Config::default().with_default_keyspace();
    let v2 = RawClient::new_with_config(cluster.pd_endpoints(), config)
        .await
        .unwrap();
    let put = v2.put("a".to_owned(), "1").await;
    let error = failed(put);
    assert!(
        error.contains("Api version in request does not match"),
        "{error}"
    );
}

#[tokio::test]
async fn keys_entries_and_answers_have_limits() {
    let cluster = start(Config::new(1)).await;
    let client = plain(&cluster, "a").await;
    let longest = "k".repeat(8 << 10);
    client.put(longest.clone(), "1").await.unwrap();
    let error = failed(client.put(longest + "k", "1").await);
    assert!(error.contains("max key size exceeded, size: 8193, limit: 8192"));

    client.put("a".to_owned(), vec![0; 7 << 20]).await.unwrap();
    let error = failed(client.put("b".to_owned(), vec![0; 8 << 20]).await);
    assert!(error.contains("raft_entry_too_large: Some"), "{error}");
    assert_eq!(cluster.get("b"), None);

    client.put("b".to_owned(), vec![0; 7 << 20]).await.unwrap();
    let error = failed(client.batch_get(["a".to_owned(), "b".to_owned()]).await);
    assert!(error.contains("ResourceExhausted"), "{error}");
}

#[tokio::test]
async fn the_limits_can_be_set() {
    let limits = Limits {
        key: 4,
        raft_entry: 64,
        answer: 64,
    };
    let cluster = start(Config {
        limits,
        ..Config::new(1)
    })
    .await;
    let client = plain(&cluster, "a").await;
    assert!(failed(client.put("12345".to_owned(), "1").await).contains("max key size"));
    let large = client.put("1234".to_owned(), vec![0; 60]).await;
    assert!(failed(large).contains("raft_entry_too_large: Some"));
}

#[tokio::test]
async fn a_folder_keeps_data_regions_and_ports() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config {
        folder: Some(folder.path().to_owned()),
        ..Config::new(3)
    };
    let cluster = start(config.clone()).await;
    let before = client(&cluster).await;
    fill(&before).await;
    cluster.split("b").unwrap();
    cluster.move_leader("a", 3).unwrap();
    before.delete(key(7)).await.unwrap();
    let (regions, pairs) = (cluster.regions(), cluster.scan(""));
    let (pd, stores) = (cluster.pd_endpoints(), cluster.store_addresses());
    cluster.shutdown().await;

    let cluster: Cluster = start(config).await;
    assert_eq!(cluster.regions(), regions);
    assert_eq!(cluster.scan(""), pairs);
    assert_eq!(cluster.pd_endpoints(), pd);
    assert_eq!(cluster.store_addresses(), stores);
    // The client from before finds its way.
    assert_eq!(before.get(key(7)).await.unwrap(), None);
    before.put(key(7), "again").await.unwrap();
    assert_eq!(cluster.get(key(7)), Some(b"again".to_vec()));
}

#[tokio::test]
async fn a_folder_is_not_continued_with_other_stores() {
    let folder = tempfile::tempdir().unwrap();
    let config = |stores| Config {
        folder: Some(folder.path().to_owned()),
        ..Config::new(stores)
    };
    start(config(3)).await.shutdown().await;
    let error = Cluster::start(config(2)).await.unwrap_err();
    assert!(error.to_string().contains("another number of stores"));
}
