//! `Api` of the types of k8s-openapi.

use anyhow::{Result, bail};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{
    Api, DeleteParams, EvictParams, ListParams, Patch, PatchParams, PostParams, Preconditions,
};
use kube::{Resource as _, ResourceExt as _};
use serde_json::{Value, json};

use crate::{World, refused, same};

/// A pod of one container.
pub(crate) fn pod(name: &str) -> Result<Pod> {
    Ok(serde_json::from_value(json!({
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"containers": [{
            "name": "c",
            "image": "nginx:1.27",
            "ports": [{"containerPort": 80}],
            "resources": {"requests": {"cpu": "250m"}},
            "readinessProbe": {"httpGet": {"path": "/", "port": "web"}},
        }]},
    }))?)
}

/// A deployment's manifest.
pub(crate) fn deployment(name: &str, replicas: i32) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "c", "image": "nginx:1.27"}]},
            },
        },
    })
}

pub(crate) async fn api(world: World) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(world.client.clone(), &world.namespace);
    let mut made = pods.create(&PostParams::default(), &pod("web")?).await?;
    same(made.namespace(), Some(world.namespace.clone()))?;
    same(
        made.spec.as_ref().and_then(|s| s.restart_policy.clone()),
        Some("Always".into()),
    )?;
    same(made.creation_timestamp().is_some(), true)?;
    same(pods.get("web").await?, made.clone())?;
    same(pods.get_opt("none").await?, None)?;
    same(pods.get_metadata("web").await?.metadata.uid, made.uid())?;

    made.labels_mut().insert("tier".into(), "front".into());
    let changed = pods.replace("web", &PostParams::default(), &made).await?;
    same(changed.labels().get("tier"), Some(&"front".to_owned()))?;
    let stale = pods.replace("web", &PostParams::default(), &made).await;
    let words = refused(stale, 409, "Conflict")?;
    same(words.contains("the object has been modified"), true)?;

    let list = pods
        .list(
            &ListParams::default()
                .labels("tier in (front)")
                .fields("status.phase=Pending"),
        )
        .await?;
    same(list.items.len(), 1)?;
    same(
        pods.list(&ListParams::default().labels("tier=back"))
            .await?
            .items
            .len(),
        0,
    )?;
    let all: Api<Pod> = Api::all(world.client.clone());
    same(
        all.list_metadata(&ListParams::default())
            .await?
            .iter()
            .any(|p| p.uid() == changed.uid()),
        true,
    )?;

    // Pages.
    for n in 0..5 {
        pods.create(&PostParams::default(), &pod(&format!("p{n}"))?)
            .await?;
    }
    let first = pods.list(&ListParams::default().limit(4)).await?;
    same(first.metadata.remaining_item_count, Some(2))?;
    let token = first.metadata.continue_.unwrap_or_default();
    let second = pods
        .list(&ListParams::default().limit(4).continue_token(&token))
        .await?;
    same(
        second
            .items
            .iter()
            .map(|p| p.name_any())
            .collect::<Vec<_>>(),
        ["p4", "web"],
    )
}

pub(crate) async fn errors(world: World) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(world.client.clone(), &world.namespace);
    let deployments: Api<Deployment> = Api::namespaced(world.client.clone(), &world.namespace);
    pods.create(&PostParams::default(), &pod("web")?).await?;
    let again = pods.create(&PostParams::default(), &pod("web")?).await;
    same(
        refused(again, 409, "AlreadyExists")?,
        r#"pods "web" already exists"#,
    )?;
    same(
        refused(pods.get("none").await, 404, "NotFound")?,
        r#"pods "none" not found"#,
    )?;
    let none = refused(deployments.get("none").await, 404, "NotFound")?;
    same(none, r#"deployments.apps "none" not found"#)?;
    let words = refused(
        pods.create(&PostParams::default(), &pod("Bad_")?).await,
        422,
        "Invalid",
    )?;
    same(
        words.starts_with(r#"Pod "Bad_" is invalid: [metadata.name: Invalid value: "Bad_""#),
        true,
    )?;
    let uid = "0d6a3b0e-7e5a-4a43-9f0c-000000000000";
    let another = Preconditions {
        uid: Some(uid.into()),
        resource_version: None,
    };
    refused(
        pods.delete("web", &DeleteParams::default().preconditions(another))
            .await,
        409,
        "Conflict",
    )?;
    let strict = PatchParams::apply("me").validation_strict();
    let wrong = json!({"apiVersion": "v1", "kind": "Pod", "spec": {"nonsense": 1}});
    let outcome = pods.patch("web", &strict, &Patch::Apply(&wrong)).await;
    match outcome {
        Err(kube::Error::Api(status)) => same(status.message.contains("nonsense"), true),
        other => bail!("a refusal expected, not {other:?}"),
    }
}

pub(crate) async fn subresources(world: World) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(world.client.clone(), &world.namespace);
    pods.create(&PostParams::default(), &pod("web")?).await?;
    let status = json!({"status": {"phase": "Running"}});
    let after = pods
        .patch_status("web", &PatchParams::default(), &Patch::Merge(&status))
        .await?;
    same(after.status.and_then(|s| s.phase), Some("Running".into()))?;
    let debugger = json!({"spec": {"ephemeralContainers": [{"name": "d", "image": "busybox"}]}});
    pods.patch_ephemeral_containers("web", &PatchParams::default(), &Patch::Strategic(debugger))
        .await?;
    let found = pods.get_ephemeral_containers("web").await?;
    same(
        found
            .spec
            .and_then(|s| s.ephemeral_containers)
            .map(|c| c.len()),
        Some(1),
    )?;
    pods.evict("web", &EvictParams::default()).await?;
    refused(pods.get("web").await, 404, "NotFound")?;

    let deployments: Api<Deployment> = Api::namespaced(world.client.clone(), &world.namespace);
    let made = serde_json::from_value(deployment("web", 2))?;
    deployments.create(&PostParams::default(), &made).await?;
    let mut scale = deployments.get_scale("web").await?;
    same(scale.spec.as_ref().and_then(|s| s.replicas), Some(2))?;
    if let Some(spec) = &mut scale.spec {
        spec.replicas = Some(5);
    }
    deployments
        .replace_scale("web", &PostParams::default(), &scale)
        .await?;
    let more = json!({"spec": {"replicas": 6}});
    let patched = deployments
        .patch_scale("web", &PatchParams::default(), &Patch::Merge(&more))
        .await?;
    same(patched.spec.and_then(|s| s.replicas), Some(6))
}

pub(crate) async fn server_side_apply(world: World) -> Result<()> {
    let maps: Api<ConfigMap> = Api::namespaced(world.client.clone(), &world.namespace);
    let wanted = |data: Value| {
        Patch::Apply(
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data}),
        )
    };
    let (one, two) = (PatchParams::apply("one"), PatchParams::apply("two"));
    let made = maps
        .patch("c", &one, &wanted(json!({"a": "1", "b": "1"})))
        .await?;
    let again = maps
        .patch("c", &one, &wanted(json!({"a": "1", "b": "1"})))
        .await?;
    same(again.resource_version(), made.resource_version())?;
    let words = refused(
        maps.patch("c", &two, &wanted(json!({"a": "2"}))).await,
        409,
        "Conflict",
    )?;
    same(
        words,
        r#"Apply failed with 1 conflict: conflict with "one": .data.a"#,
    )?;
    maps.patch("c", &two.clone().force(), &wanted(json!({"a": "2"})))
        .await?;
    let after = maps.patch("c", &one, &wanted(json!({}))).await?;
    same(serde_json::to_value(&after.data)?, json!({"a": "2"}))?;
    let dry = maps
        .patch("c", &two.dry_run(), &wanted(json!({"a": "3"})))
        .await?;
    same(serde_json::to_value(&dry.data)?, json!({"a": "3"}))?;
    same(
        serde_json::to_value(&maps.get("c").await?.data)?,
        json!({"a": "2"}),
    )?;
    // A typed object is a patch too.
    let deployments: Api<Deployment> = Api::namespaced(world.client.clone(), &world.namespace);
    let typed: Deployment = serde_json::from_value(deployment("web", 3))?;
    let made = deployments
        .patch("web", &one, &Patch::Apply(&typed))
        .await?;
    same(made.managed_fields().len(), 1)
}

pub(crate) async fn deletes(world: World) -> Result<()> {
    let deployments: Api<Deployment> = Api::namespaced(world.client.clone(), &world.namespace);
    for (params, finalizer) in [
        (DeleteParams::foreground(), "foregroundDeletion"),
        (DeleteParams::orphan(), "orphan"),
    ] {
        let made = serde_json::from_value(deployment("web", 1))?;
        deployments.create(&PostParams::default(), &made).await?;
        deployments.delete("web", &params).await?;
        let mut held = deployments.get("web").await?;
        same(held.finalizers(), [finalizer.to_owned()])?;
        same(held.meta().deletion_timestamp.is_some(), true)?;
        // The collector of garbage.
        held.finalizers_mut().clear();
        deployments
            .replace("web", &PostParams::default(), &held)
            .await?;
        refused(deployments.get("web").await, 404, "NotFound")?;
    }
    let pods: Api<Pod> = Api::namespaced(world.client.clone(), &world.namespace);
    for name in ["a", "b", "c"] {
        pods.create(&PostParams::default(), &pod(name)?).await?;
    }
    pods.delete("a", &DeleteParams::default().dry_run()).await?;
    let params = DeleteParams::default();
    pods.delete_collection(&params, &ListParams::default().labels("app!=b"))
        .await?;
    let left = pods.list(&ListParams::default()).await?;
    same(left.iter().map(|p| p.name_any()).collect::<Vec<_>>(), ["b"])?;
    pods.delete("b", &params.grace_period(0)).await?;
    same(pods.get_opt("b").await?.is_none(), true)
}
