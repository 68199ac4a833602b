//! Watchers, reflectors, a controller.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::core::PartialObjectMeta;
use kube::runtime::controller::Action;
use kube::runtime::finalizer::{Event as Finalize, finalizer};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{Controller, WatchStreamExt as _, reflector, watcher as watch};
use kube::{Client, ResourceExt as _};
use serde_json::json;
use tokio::sync::mpsc;

use crate::typed::pod;
use crate::{World, eventually, same};

fn config_map(name: &str) -> Result<ConfigMap> {
    Ok(serde_json::from_value(
        json!({"metadata": {"name": name, "labels": {"of": "test"}}}),
    )?)
}

/// The next event, as a word.
async fn next<S>(events: &mut S) -> Result<String>
where
    S: Stream<Item = watcher::Result<Event<Pod>>> + Unpin,
{
    let event = tokio::time::timeout(Duration::from_secs(30), events.next()).await?;
    Ok(match event.context("the stream has ended")?? {
        Event::Apply(pod) => format!("apply {}", pod.name_any()),
        Event::Delete(pod) => format!("delete {}", pod.name_any()),
        Event::Init => "init".to_owned(),
        Event::InitApply(pod) => format!("init apply {}", pod.name_any()),
        Event::InitDone => "init done".to_owned(),
    })
}

async fn sees(world: &World, config: watcher::Config) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(world.client.clone(), &world.namespace);
    for name in ["a", "b", "c"] {
        pods.create(&PostParams::default(), &pod(name)?).await?;
    }
    let mut events = pin!(watch(pods.clone(), config));
    same(next(&mut events).await?, "init")?;
    // A server that answers from a cache may show what is newest afterwards.
    let (mut seen, mut done) = (BTreeSet::new(), false);
    while !done || seen.len() < 3 {
        let event = next(&mut events).await?;
        match event
            .strip_prefix("init ")
            .unwrap_or(&event)
            .split_once(' ')
        {
            Some(("apply", name)) => drop(seen.insert(name.to_owned())),
            None if event == "init done" => done = true,
            _ => bail!("{event} was not expected"),
        }
    }
    same(seen.into_iter().collect::<Vec<_>>(), ["a", "b", "c"])?;
    pods.create(&PostParams::default(), &pod("d")?).await?;
    same(next(&mut events).await?, "apply d")?;
    let labels = json!({"metadata": {"labels": {"new": "1"}}});
    pods.patch("a", &PatchParams::default(), &Patch::Merge(&labels))
        .await?;
    same(next(&mut events).await?, "apply a")?;
    pods.delete("b", &DeleteParams::default()).await?;
    let mut event = next(&mut events).await?;
    // It may be shown as marked first.
    if event == "apply b" {
        event = next(&mut events).await?;
    }
    same(event, "delete b")
}

pub(crate) async fn watcher_sees_each_change(world: World) -> Result<()> {
    // Two to a page.
    sees(&world, watcher::Config::default().page_size(2)).await
}

pub(crate) async fn streaming_lists(world: World) -> Result<()> {
    sees(&world, watcher::Config::default().streaming_lists()).await
}

pub(crate) async fn reflector_agrees(world: World) -> Result<()> {
    let maps: Api<ConfigMap> = Api::namespaced(world.client.clone(), &world.namespace);
    for n in 0..10 {
        maps.create(&PostParams::default(), &config_map(&format!("c{n}"))?)
            .await?;
    }
    let (store, writer) = reflector::store();
    let config = watcher::Config::default().labels("of=test");
    let stream = reflector(writer, watch(maps.clone(), config))
        .default_backoff()
        .touched_objects();
    let reading = tokio::spawn(stream.for_each(|_| futures::future::ready(())));
    store.wait_until_ready().await?;
    same(store.state().len(), 10)?;
    for n in 0..10 {
        let name = format!("c{n}");
        match n % 3 {
            0 => drop(maps.delete(&name, &DeleteParams::default()).await?),
            1 => {
                let data = Patch::Merge(json!({"data": {"n": name}}));
                maps.patch(&name, &PatchParams::default(), &data).await?;
            }
            _ => {
                let out = Patch::Merge(json!({"metadata": {"labels": {"of": "another"}}}));
                maps.patch(&name, &PatchParams::default(), &out).await?;
            }
        }
    }
    let there: BTreeMap<_, _> = maps
        .list(&ListParams::default().labels("of=test"))
        .await?
        .into_iter()
        .map(|m| (m.name_any(), m.resource_version()))
        .collect();
    same(there.len(), 3)?;
    eventually(|| async {
        let known: BTreeMap<_, _> = store
            .state()
            .iter()
            .map(|m| (m.name_any(), m.resource_version()))
            .collect();
        same(known, there.clone())
    })
    .await?;
    reading.abort();
    Ok(())
}

pub(crate) async fn metadata(world: World) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(world.client.clone(), &world.namespace);
    pods.create(&PostParams::default(), &pod("web")?).await?;
    let partial: Api<PartialObjectMeta<Pod>> =
        Api::namespaced(world.client.clone(), &world.namespace);
    let mut events = pin!(watch(partial, watcher::Config::default()).applied_objects());
    let first = events.try_next().await?.context("an object")?;
    same(
        (first.name_any(), first.labels().len()),
        ("web".to_owned(), 1),
    )?;
    let labels = json!({"metadata": {"labels": {"new": "1"}}});
    pods.patch("web", &PatchParams::default(), &Patch::Merge(&labels))
        .await?;
    let second = events.try_next().await?.context("an object")?;
    same(second.labels().get("new"), Some(&"1".to_owned()))
}

/// What the controller has: where it writes, and where it tells what it has done.
struct Context {
    client: Client,
    done: mpsc::UnboundedSender<String>,
}

async fn reconcile(map: Arc<ConfigMap>, context: Arc<Context>) -> Result<Action, Failure> {
    let maps: Api<ConfigMap> =
        Api::namespaced(context.client.clone(), &map.namespace().unwrap_or_default());
    finalizer(&maps, "example.com/tested", map, |event| async {
        let (word, map) = match event {
            Finalize::Apply(map) => ("applied", map),
            Finalize::Cleanup(map) => ("cleaned", map),
        };
        let _ = context.done.send(format!("{word} {}", map.name_any()));
        Ok::<_, std::convert::Infallible>(Action::await_change())
    })
    .await
    .map_err(|error| Failure(error.to_string()))
}

/// Why a reconciliation has failed.
#[derive(Debug)]
struct Failure(String);

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

pub(crate) async fn controller_with_finalizer(world: World) -> Result<()> {
    let maps: Api<ConfigMap> = Api::namespaced(world.client.clone(), &world.namespace);
    let (done, mut log) = mpsc::unbounded_channel();
    let context = Arc::new(Context {
        client: world.client.clone(),
        done,
    });
    let controller = Controller::new(maps.clone(), watcher::Config::default().labels("of=test"));
    let again = |_, _: &Failure, _| Action::requeue(Duration::from_millis(100));
    let running = tokio::spawn(
        controller
            .run(reconcile, again, context)
            .for_each(|_| futures::future::ready(())),
    );
    maps.create(&PostParams::default(), &config_map("c")?)
        .await?;
    let mut wait = async |expected: &str| {
        while let Some(word) = log.recv().await {
            if word == expected {
                return Ok(());
            }
        }
        bail!("{expected} has not come")
    };
    wait("applied c").await?;
    same(
        maps.get("c").await?.finalizers(),
        ["example.com/tested".to_owned()],
    )?;
    maps.delete("c", &DeleteParams::default()).await?;
    wait("cleaned c").await?;
    eventually(|| async { same(maps.get_opt("c").await?.is_none(), true) }).await?;
    running.abort();
    Ok(())
}
