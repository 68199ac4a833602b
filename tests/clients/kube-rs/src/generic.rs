//! Kinds that are known at run time alone.

use anyhow::{Context as _, Result};
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams,
};
use kube::core::GroupVersionKind;
use kube::discovery::{Discovery, Scope, pinned_kind, verbs};
use serde_json::json;

use crate::typed::deployment;
use crate::{World, no_such_group, refused, same};

pub(crate) async fn dynamic_api(world: World) -> Result<()> {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("apps", "v1", "Deployment"));
    let api: Api<DynamicObject> =
        Api::namespaced_with(world.client.clone(), &world.namespace, &kind);
    let wanted: DynamicObject = serde_json::from_value(deployment("web", 2))?;
    let mut made = api.create(&PostParams::default(), &wanted).await?;
    same(&made.data["spec"]["replicas"], &json!(2))?;
    same(made.types.clone().context("types")?.kind, "Deployment")?;
    made.data["spec"]["replicas"] = json!(4);
    let changed = api.replace("web", &PostParams::default(), &made).await?;
    same(changed.metadata.generation, Some(2))?;
    refused(
        api.replace("web", &PostParams::default(), &made).await,
        409,
        "Conflict",
    )?;
    let patch = json!({"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "busybox"}]}}}});
    let patched = api
        .patch("web", &PatchParams::default(), &Patch::Strategic(&patch))
        .await?;
    same(
        patched.data["spec"]["template"]["spec"]["containers"]
            .as_array()
            .map(Vec::len),
        Some(2),
    )?;
    same(api.list(&ListParams::default()).await?.items.len(), 1)?;
    api.delete("web", &DeleteParams::default()).await?;
    let words = refused(api.get("web").await, 404, "NotFound")?;
    same(words, r#"deployments.apps "web" not found"#)?;
    let nothing = ApiResource::from_gvk(&GroupVersionKind::gvk("example.com", "v1", "Nope"));
    let api: Api<DynamicObject> = Api::namespaced_with(world.client, &world.namespace, &nothing);
    no_such_group(api.list(&ListParams::default()).await)
}

pub(crate) async fn discovery(world: World) -> Result<()> {
    for all in [
        Discovery::new(world.client.clone()).run().await?,
        Discovery::new(world.client.clone())
            .run_aggregated()
            .await?,
    ] {
        let apps = all.get("apps").context("apps")?;
        same(apps.preferred_version(), Some("v1"))?;
        let (kind, can) = apps.recommended_kind("Deployment").context("Deployment")?;
        same(
            (kind.plural.as_str(), can.scope),
            ("deployments", Scope::Namespaced),
        )?;
        same(can.operations.contains(&verbs::WATCH.to_owned()), true)?;
        same(
            all.get("autoscaling")
                .context("autoscaling")?
                .preferred_version(),
            Some("v2"),
        )?;
        let (node, can) = all
            .resolve_gvk(&GroupVersionKind::gvk("", "v1", "Node"))
            .context("Node")?;
        same((node.plural.as_str(), can.scope), ("nodes", Scope::Cluster))?;
        same(all.groups().count() > 15, true)?;
    }
    let (kind, _) =
        pinned_kind(&world.client, &GroupVersionKind::gvk("batch", "v1", "Job")).await?;
    same(kind.plural, "jobs")?;
    let version = world.client.apiserver_version().await?;
    same(
        (version.major, version.minor),
        ("1".to_owned(), "35".to_owned()),
    )
}
