//! A kind that is derived from a Rust type.
//!
//! Custom resources are not served yet: what is tested is that the definition is what Kubernetes takes,
//! and that the server refuses it, and its objects, as Kubernetes refuses what is of no group.

use anyhow::Result;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ListParams, PostParams};
use kube::{CustomResource, CustomResourceExt as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{World, no_such_group, same};

/// A thing of this test's own.
#[derive(CustomResource, Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[kube(
    group = "tests.example.com",
    version = "v1",
    kind = "Widget",
    namespaced,
    shortname = "wd",
    status = "WidgetStatus",
    derive = "PartialEq"
)]
#[derive(PartialEq)]
struct WidgetSpec {
    size: i32,
    #[serde(default)]
    color: Option<String>,
}

/// How a widget is.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
struct WidgetStatus {
    ready: bool,
}

pub(crate) async fn derived_kind(world: World) -> Result<()> {
    let definition = Widget::crd();
    let text = serde_json::to_value(&definition)?;
    same(&text["metadata"]["name"], "widgets.tests.example.com")?;
    same(&text["spec"]["names"]["shortNames"], &json!(["wd"]))?;
    let version = &text["spec"]["versions"][0];
    same(&version["subresources"], &json!({"status": {}}))?;
    let schema = &version["schema"]["openAPIV3Schema"]["properties"]["spec"];
    same(
        &schema["properties"]["size"],
        &json!({"type": "integer", "format": "int32"}),
    )?;
    same(&schema["required"], &json!(["size"]))?;

    let definitions: Api<CustomResourceDefinition> = Api::all(world.client.clone());
    no_such_group(
        definitions
            .create(&PostParams::default(), &definition)
            .await,
    )?;
    let widgets: Api<Widget> = Api::namespaced(world.client.clone(), &world.namespace);
    no_such_group(widgets.list(&ListParams::default()).await)?;
    let spec = WidgetSpec {
        size: 1,
        color: None,
    };
    no_such_group(
        widgets
            .create(&PostParams::default(), &Widget::new("w", spec))
            .await,
    )
}
