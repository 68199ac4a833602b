//! The kill test: the real binary under load, SIGKILL at random moments. After each restart every
//! acknowledged write is there, none twice, and what was refused is not.
//!
//! `K8SHOST_TEST_KILLS` says how often it is killed, `K8SHOST_TEST_SEED` repeats a run.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use k8shost_tests::{Client, POD, Random, Server, merge, name, pod, revision, text};
use serde_json::{Value, json};
use tonic::{Code, Status};

const WRITERS: usize = 8;

/// What one writer knows of one of its pods.
#[derive(Clone, Debug, Default, PartialEq)]
struct Known {
    /// The value that the last acknowledged write left; `None`: the pod is not there.
    value: Option<u64>,
    /// The revision of that write.
    revision: u64,
    /// A write that was sent and never answered: it may have been carried out, once.
    unknown: Option<Unknown>,
}

#[derive(Clone, Debug, PartialEq)]
enum Unknown {
    Write(u64),
    Delete,
}

/// What a writer has done: its pods by name, and the tokens of pods with generated names.
#[derive(Debug, Default)]
struct Model {
    pods: BTreeMap<String, Known>,
    /// By token: whether its create was acknowledged.
    tokens: BTreeMap<String, bool>,
    /// Acknowledged changes: revision and name.
    acknowledged: BTreeMap<u64, String>,
    writes: usize,
    next: u64,
}

/// Whether an error leaves open what has happened.
fn is_unknown(status: &Status) -> bool {
    !matches!(
        status.code(),
        Code::AlreadyExists | Code::NotFound | Code::Aborted | Code::InvalidArgument
    )
}

fn with_value(name: &str, value: u64) -> Value {
    merge(
        pod(name),
        json!({"metadata": {"annotations": {"value": value.to_string()}}}),
    )
}

fn value_of(object: &Value) -> u64 {
    text(object, "/metadata/annotations/value")
        .parse()
        .expect("each pod has its value")
}

/// Writes until the server is gone.
async fn write(
    writer: usize,
    client: Client,
    mut model: Model,
    mut random: Random,
    stop: Arc<AtomicBool>,
) -> Model {
    while !stop.load(Ordering::Relaxed) {
        let done = match random.below(10) {
            0..=1 => generate(writer, &client, &mut model).await,
            2 => poison(writer, &client, &mut model, &mut random).await,
            _ => change(writer, &client, &mut model, &mut random).await,
        };
        if done.is_err() {
            break;
        }
    }
    model
}

/// Creates a pod with a generated name and a token of its own.
async fn generate(writer: usize, client: &Client, model: &mut Model) -> Result<(), ()> {
    model.next += 1;
    let token = format!("w{writer}-t{}", model.next);
    let object = merge(
        with_value("x", 0),
        json!({"metadata": {"name": null, "generateName": "g-", "labels": {"token": token}}}),
    );
    model.tokens.insert(token.clone(), false);
    let made = client
        .create(POD, object)
        .await
        .map_err(|status| assert!(is_unknown(&status), "{status}"))?;
    model.tokens.insert(token, true);
    model
        .acknowledged
        .insert(revision(&made), name(&made).to_owned());
    model.writes += 1;
    Ok(())
}

/// Writes that must be refused, with a value that must never be seen.
async fn poison(
    writer: usize,
    client: &Client,
    model: &mut Model,
    random: &mut Random,
) -> Result<(), ()> {
    let name = format!("w{writer}-p{}", random.below(20));
    let Some(known) = model.pods.get(&name).filter(|k| k.unknown.is_none()) else {
        return Ok(());
    };
    let refused = if known.value.is_some() {
        let stale = json!({"metadata": {"resourceVersion": (known.revision - 1).to_string()}});
        let created = client.create(POD, with_value(&name, u64::MAX)).await;
        let updated = client
            .update(POD, merge(with_value(&name, u64::MAX), stale))
            .await;
        [created, updated]
    } else {
        let uid = json!({"metadata": {"resourceVersion": "1"}});
        let updated = client
            .update(POD, merge(with_value(&name, u64::MAX), uid))
            .await;
        [
            updated,
            client.update(POD, with_value(&name, u64::MAX)).await,
        ]
    };
    for answer in refused {
        match answer {
            Ok(object) => panic!("it had to be refused: {object}"),
            Err(status) if is_unknown(&status) => return Err(()),
            Err(_) => {}
        }
    }
    Ok(())
}

/// Creates, updates or deletes one of the writer's pods.
async fn change(
    writer: usize,
    client: &Client,
    model: &mut Model,
    random: &mut Random,
) -> Result<(), ()> {
    let name = format!("w{writer}-p{}", random.below(20));
    model.next += 1;
    let value = model.next;
    let known = model.pods.entry(name.clone()).or_default();
    let (sent, answer) = match known.value {
        None => (
            Unknown::Write(value),
            client.create(POD, with_value(&name, value)).await,
        ),
        Some(_) if random.one_in(3) => (Unknown::Delete, client.delete(POD, "", &name).await),
        Some(_) => {
            let version = json!({"metadata": {"resourceVersion": known.revision.to_string()}});
            let object = merge(with_value(&name, value), version);
            (Unknown::Write(value), client.update(POD, object).await)
        }
    };
    match answer {
        Ok(object) => {
            match sent {
                Unknown::Delete => known.value = None,
                Unknown::Write(value) => {
                    known.value = Some(value);
                    known.revision = revision(&object);
                    model.acknowledged.insert(revision(&object), name);
                }
            }
            model.writes += 1;
            Ok(())
        }
        Err(status) => {
            assert!(is_unknown(&status), "{name}: {status}");
            known.unknown = Some(sent);
            Err(())
        }
    }
}

/// Holds what the server has against what a writer knows, and takes over what was unknown.
fn verify(model: &mut Model, found: &BTreeMap<String, Value>) {
    for (name, known) in &mut model.pods {
        let actual = found.get(name).map(value_of);
        let fits = actual == known.value
            || match &known.unknown {
                Some(Unknown::Write(value)) => actual == Some(*value),
                Some(Unknown::Delete) => actual.is_none(),
                None => false,
            };
        assert!(
            fits,
            "{name}: the server has {actual:?}, and was told {known:?}"
        );
        if actual == known.value && known.value.is_some() && known.unknown.is_none() {
            assert_eq!(revision(&found[name]), known.revision, "{name}");
        }
        known.value = actual;
        known.revision = found.get(name).map_or(0, revision);
        known.unknown = None;
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for object in found.values() {
        let token = text(object, "/metadata/labels/token");
        if !token.is_empty() {
            *counts.entry(token).or_default() += 1;
        }
    }
    for (token, acknowledged) in &model.tokens {
        let count = counts.get(token.as_str()).copied().unwrap_or(0);
        assert!(count <= 1, "{token} was created {count} times");
        assert!(
            count == 1 || !acknowledged,
            "{token} was acknowledged and is gone"
        );
    }
}

/// All pods, in pages.
async fn all(client: &Client) -> (BTreeMap<String, Value>, u64) {
    let mut found = BTreeMap::new();
    let mut token = String::new();
    loop {
        let page = client
            .list(POD, json!({"limit": 500, "continueToken": token}))
            .await
            .expect("a page");
        for object in page["items"].as_array().expect("items") {
            let twice = found.insert(name(object).to_owned(), object.clone());
            assert!(twice.is_none(), "{} is listed twice", name(object));
        }
        token = text(&page, "/metadata/continue").to_owned();
        if token.is_empty() {
            return (found, revision(&page));
        }
    }
}

/// Every revision since the last look, once each, and the acknowledged ones with their names.
async fn history(client: &Client, from: u64, to: u64, acknowledged: &BTreeMap<u64, String>) {
    let mut watch = client
        .watch(POD, json!({"resourceVersion": from.to_string()}))
        .await
        .expect("a watch");
    let mut last = from;
    while last < to {
        let event = watch.event().await;
        let at = revision(&event.object);
        assert_eq!(
            at,
            last + 1,
            "only pods are written: no revision is left out or comes twice"
        );
        if let Some(expected) = acknowledged.get(&at) {
            assert_eq!(name(&event.object), expected, "at revision {at}");
        }
        last = at;
    }
    let lost = acknowledged.range(to + 1..).next();
    assert!(lost.is_none(), "acknowledged and beyond the end: {lost:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_and_nothing_happens_twice() {
    let kills: usize = std::env::var("K8SHOST_TEST_KILLS")
        .map_or(15, |text| text.parse().expect("a number of kills"));
    let seed = Random::seed("K8SHOST_TEST_SEED");
    eprintln!("{kills} kills, seed {seed}");
    let mut random = Random::new(seed);
    let mut server = Server::start().await;
    let mut models: Vec<Model> = (0..WRITERS).map(|_| Model::default()).collect();
    let mut from = revision(&server.client().await.list(POD, json!({})).await.unwrap());
    let mut writes = 0;
    for kill in 0..kills {
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = Vec::new();
        for (writer, model) in models.drain(..).enumerate() {
            let client = server.client().await;
            let random = Random::new(random.number());
            tasks.push(tokio::spawn(write(
                writer,
                client,
                model,
                random,
                stop.clone(),
            )));
        }
        // The moment of the kill, not a wait for a result.
        tokio::time::sleep(Duration::from_micros(random.below(400_000))).await;
        server.kill().await;
        stop.store(true, Ordering::Relaxed);
        for task in tasks {
            models.push(
                task.await
                    .unwrap_or_else(|e| panic!("kill {kill}, seed {seed}: {e}")),
            );
        }
        // Sometimes it is killed again while it starts.
        while random.one_in(4) {
            server.spawn();
            tokio::time::sleep(Duration::from_micros(random.below(60_000))).await;
            server.kill().await;
        }
        server.launch().await;
        let client = server.client().await;
        let (found, now) = all(&client).await;
        let mut acknowledged = BTreeMap::new();
        for model in &mut models {
            verify(model, &found);
            acknowledged.append(&mut model.acknowledged);
            writes += std::mem::take(&mut model.writes);
            // Their creates are proved; what is left of them goes, so that the store stays small.
            model.tokens.clear();
        }
        history(&client, from, now, &acknowledged).await;
        for name in found.keys().filter(|name| name.starts_with("g-")) {
            client.delete(POD, "", name).await.expect("a delete");
        }
        from = revision(&client.list(POD, json!({"limit": 1})).await.expect("a list"));
    }
    eprintln!("{kills} kills, {writes} acknowledged writes");
    assert!(writes > kills, "the load was no load: {writes} writes");

    // The store is whole, too.
    server.kill().await;
    let data = server.data().display().to_string();
    let check = k8shost_tests::run(&["check", "--data-dir", &data], &[], server.folder()).await;
    assert!(check.status.success(), "{check:?}");
}
