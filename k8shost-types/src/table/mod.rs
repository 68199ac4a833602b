//! What `kubectl get` prints: objects as rows of a Table (meta.k8s.io/v1), made by the server.
//!
//! A [`Printer`] knows the columns of a kind and the cells of an object; [`render`] makes the Table of
//! a list or of one object. Cells are those of kube-apiserver 1.35, wide ones included: clients leave
//! out the columns of priority 1 themselves.

mod autoscaling;
mod cell;
mod cluster;
mod column;
pub mod custom;
mod duration;
pub mod jsonpath;
mod network;
mod pods;
mod policy;
mod storage;
mod workloads;

use std::time::SystemTime;

use serde_json::{Map, Value, json};

pub use self::{column::Column, duration::human};
use self::{column::NAME, custom::CustomColumns};
use crate::{error::Error, time};

type Row = fn(&Value, SystemTime) -> Vec<Value>;

/// The printer of a built-in kind.
struct BuiltIn {
    group: &'static str,
    resource: &'static str,
    columns: &'static [Column],
    row: Row,
}

const fn of(
    group: &'static str,
    resource: &'static str,
    columns: &'static [Column],
    row: Row,
) -> BuiltIn {
    BuiltIn {
        group,
        resource,
        columns,
        row,
    }
}

const ADMISSION: &str = "admissionregistration.k8s.io";
const APPS: &str = "apps";
const CERTIFICATES: &str = "certificates.k8s.io";
const FLOW_CONTROL: &str = "flowcontrol.apiserver.k8s.io";
const NETWORKING: &str = "networking.k8s.io";
const RBAC: &str = "rbac.authorization.k8s.io";
const DEVICES: &str = "resource.k8s.io";
const STORAGE: &str = "storage.k8s.io";

/// Kinds that are not here (roles, limit ranges and storage capacities among them) get a name and
/// the time of creation.
#[rustfmt::skip]
static BUILT_IN: &[BuiltIn] = &[
    of("", "pods", pods::COLUMNS, pods::row),
    of("", "podtemplates", workloads::POD_TEMPLATES, workloads::pod_template),
    of("", "replicationcontrollers", workloads::REPLICAS, workloads::replication_controller),
    of("", "services", network::SERVICES, network::service),
    of("", "endpoints", network::ENDPOINTS, network::endpoints),
    of("", "nodes", cluster::NODES, cluster::node),
    of("", "namespaces", cluster::NAMESPACES, cluster::namespace),
    of("", "events", cluster::EVENTS, cluster::event),
    of("", "configmaps", cluster::CONFIG_MAPS, cluster::config_map),
    of("", "secrets", cluster::SECRETS, cluster::secret),
    of("", "serviceaccounts", cluster::NAMED, cluster::named),
    of("", "resourcequotas", cluster::RESOURCE_QUOTAS, cluster::resource_quota),
    of("", "persistentvolumes", storage::VOLUMES, storage::volume),
    of("", "persistentvolumeclaims", storage::CLAIMS, storage::claim),
    of("", "componentstatuses", cluster::COMPONENT_STATUSES, cluster::component_status),
    of(APPS, "deployments", workloads::DEPLOYMENTS, workloads::deployment),
    of(APPS, "replicasets", workloads::REPLICAS, workloads::replica_set),
    of(APPS, "statefulsets", workloads::STATEFUL_SETS, workloads::stateful_set),
    of(APPS, "daemonsets", workloads::DAEMON_SETS, workloads::daemon_set),
    of(APPS, "controllerrevisions", workloads::CONTROLLER_REVISIONS, workloads::controller_revision),
    of("batch", "jobs", workloads::JOBS, workloads::job),
    of("batch", "cronjobs", workloads::CRON_JOBS, workloads::cron_job),
    of("autoscaling", "horizontalpodautoscalers", autoscaling::COLUMNS, autoscaling::row),
    of("autoscaling", "scales", workloads::SCALES, workloads::scale),
    of("policy", "poddisruptionbudgets", workloads::BUDGETS, workloads::budget),
    of("events.k8s.io", "events", cluster::EVENTS, cluster::event),
    of("discovery.k8s.io", "endpointslices", network::ENDPOINT_SLICES, network::endpoint_slice),
    of(NETWORKING, "ingresses", network::INGRESSES, network::ingress),
    of(NETWORKING, "ingressclasses", network::INGRESS_CLASSES, network::ingress_class),
    of(NETWORKING, "networkpolicies", network::NETWORK_POLICIES, network::network_policy),
    of(NETWORKING, "ipaddresses", network::IP_ADDRESSES, network::ip_address),
    of(NETWORKING, "servicecidrs", network::SERVICE_CIDRS, network::service_cidr),
    of(RBAC, "rolebindings", policy::BINDINGS, policy::binding),
    of(RBAC, "clusterrolebindings", policy::BINDINGS, policy::binding),
    of(STORAGE, "storageclasses", storage::STORAGE_CLASSES, storage::storage_class),
    of(STORAGE, "csidrivers", storage::DRIVERS, storage::driver),
    of(STORAGE, "csinodes", storage::CSI_NODES, storage::csi_node),
    of(STORAGE, "volumeattachments", storage::ATTACHMENTS, storage::attachment),
    of(STORAGE, "volumeattributesclasses", storage::ATTRIBUTES_CLASSES, storage::attributes_class),
    of("coordination.k8s.io", "leases", cluster::LEASES, cluster::lease),
    of("scheduling.k8s.io", "priorityclasses", policy::PRIORITY_CLASSES, policy::priority_class),
    of("node.k8s.io", "runtimeclasses", policy::RUNTIME_CLASSES, policy::runtime_class),
    of(CERTIFICATES, "certificatesigningrequests", policy::CERTIFICATE_REQUESTS, policy::certificate_request),
    of(ADMISSION, "validatingwebhookconfigurations", policy::WEBHOOKS, policy::webhooks),
    of(ADMISSION, "mutatingwebhookconfigurations", policy::WEBHOOKS, policy::webhooks),
    of(ADMISSION, "validatingadmissionpolicies", policy::VALIDATING_POLICIES, policy::validating_policy),
    of(ADMISSION, "mutatingadmissionpolicies", policy::MUTATING_POLICIES, policy::mutating_policy),
    of(ADMISSION, "validatingadmissionpolicybindings", policy::POLICY_BINDINGS, policy::policy_binding),
    of(ADMISSION, "mutatingadmissionpolicybindings", policy::POLICY_BINDINGS, policy::policy_binding),
    of(FLOW_CONTROL, "flowschemas", policy::FLOW_SCHEMAS, policy::flow_schema),
    of(FLOW_CONTROL, "prioritylevelconfigurations", policy::PRIORITY_LEVELS, policy::priority_level),
    of(DEVICES, "deviceclasses", cluster::NAMED, cluster::named),
    of(DEVICES, "resourceclaims", storage::DEVICE_CLAIMS, storage::device_claim),
    of(DEVICES, "resourceclaimtemplates", cluster::NAMED, cluster::named),
    of(DEVICES, "resourceslices", storage::DEVICE_SLICES, storage::device_slice),
];

const PLAIN: &[Column] = &[
    NAME,
    Column::date("Created At", "The time when the object was created."),
];

fn plain(object: &Value, _: SystemTime) -> Vec<Value> {
    let created = cell::moment(&object["metadata"]["creationTimestamp"]);
    let created = created.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), time::format);
    cell::cells![cell::text(&object["metadata"]["name"]), created]
}

static DEFAULT: BuiltIn = of("", "", PLAIN, plain);

fn built_in(group: &str, resource: &str) -> &'static BuiltIn {
    BUILT_IN
        .iter()
        .find(|one| one.group == group && one.resource == resource)
        .unwrap_or(&DEFAULT)
}

/// The columns of a built-in kind, of any version; of a kind without a printer, name and creation.
pub fn columns(group: &str, resource: &str) -> &'static [Column] {
    built_in(group, resource).columns
}

/// The cells of an object of a built-in kind, of any JSON.
pub fn row(group: &str, resource: &str, object: &Value, now: SystemTime) -> Vec<Value> {
    (built_in(group, resource).row)(object, now)
}

/// Makes tables of one kind.
#[derive(Clone, Copy)]
pub struct Printer<'a>(Source<'a>);

#[derive(Clone, Copy)]
enum Source<'a> {
    BuiltIn(&'static BuiltIn),
    Custom(&'a CustomColumns),
}

impl<'a> Printer<'a> {
    /// The printer of a built-in kind; see [`columns`]. The answer of a scale subresource is of
    /// (`autoscaling`, `scales`).
    pub fn of(group: &str, resource: &str) -> Self {
        Self(Source::BuiltIn(built_in(group, resource)))
    }

    /// The printer of a kind with columns of its own.
    pub fn custom(columns: &'a CustomColumns) -> Self {
        Self(Source::Custom(columns))
    }

    /// The `columnDefinitions`.
    pub fn columns(&self) -> Vec<Value> {
        match self.0 {
            Source::BuiltIn(kind) => kind.columns.iter().map(Column::to_json).collect(),
            Source::Custom(columns) => columns.definitions(),
        }
    }

    /// The cells of an object, of any JSON.
    pub fn cells(&self, object: &Value, now: SystemTime) -> Vec<Value> {
        match self.0 {
            Source::BuiltIn(kind) => (kind.row)(object, now),
            Source::Custom(columns) => columns.cells(object, now),
        }
    }

    fn is(&self, group: &str, resource: &str) -> bool {
        matches!(self.0, Source::BuiltIn(kind) if kind.group == group && kind.resource == resource)
    }

    fn row(&self, object: &Value, options: &Options, now: SystemTime) -> Value {
        let shown = match options.include {
            Include::None => Value::Null,
            Include::Metadata => partial_metadata(object, options.version),
            Include::Object => object.clone(),
        };
        let mut row = json!({"cells": self.cells(object, now), "object": shown});
        if self.is("", "pods")
            && let Some(conditions) = pods::conditions(object)
        {
            row["conditions"] = conditions;
        }
        row
    }
}

/// What of an object goes with its row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Include {
    /// Nothing.
    None,
    /// Its metadata, as PartialObjectMetadata.
    #[default]
    Metadata,
    /// All of it.
    Object,
}

impl Include {
    /// Reads the query parameter `includeObject`; empty is the default. An error is a BadRequest.
    pub fn parse(text: &str) -> Result<Self, Error> {
        match text {
            "" | "Metadata" => Ok(Self::Metadata),
            "None" => Ok(Self::None),
            "Object" => Ok(Self::Object),
            other => Err(Error::bad_request(format!(
                "Unable to convert to Table as requested: includeObject: Invalid value: {}: must be 'Metadata', 'Object', 'None', or empty",
                crate::field::quote(other)
            ))),
        }
    }
}

/// The version of meta.k8s.io that the client asked for; they differ in name only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// `meta.k8s.io/v1`.
    #[default]
    V1,
    /// `meta.k8s.io/v1beta1`.
    V1Beta1,
}

impl Version {
    /// As an apiVersion.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "meta.k8s.io/v1",
            Self::V1Beta1 => "meta.k8s.io/v1beta1",
        }
    }
}

/// How a Table is to be.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// The version of the Table and of the metadata in it.
    pub version: Version,
    /// What of the objects goes with the rows.
    pub include: Include,
    /// No columnDefinitions: of a watch, only the first event has them.
    pub no_headers: bool,
}

/// The Table of objects. `metadata` is the list's, or the object's when there is one object only;
/// resourceVersion, continue and remainingItemCount are taken of it. Flow schemas come in their order
/// of precedence, all else in the order given.
pub fn render<'o>(
    printer: Printer<'_>,
    metadata: &Value,
    objects: impl IntoIterator<Item = &'o Value>,
    options: &Options,
    now: SystemTime,
) -> Value {
    let mut objects: Vec<&Value> = objects.into_iter().collect();
    if printer.is(FLOW_CONTROL, "flowschemas") {
        objects.sort_by(|a, b| policy::flow_schema_order(a).cmp(&policy::flow_schema_order(b)));
    }
    let rows: Vec<Value> = objects
        .into_iter()
        .map(|object| printer.row(object, options, now))
        .collect();
    let columns = match options.no_headers {
        true => Value::Null,
        false => printer.columns().into(),
    };
    // The apiserver's default convertor, unlike its others, begins with no list at all.
    let rows = match rows.is_empty() && printer.is("", "") {
        true => Value::Null,
        false => rows.into(),
    };
    json!({
        "apiVersion": options.version.as_str(),
        "kind": "Table",
        "metadata": list_metadata(metadata),
        "columnDefinitions": columns,
        "rows": rows,
    })
}

/// The metadata of an object, alone.
pub fn partial_metadata(object: &Value, version: Version) -> Value {
    let metadata = match &object["metadata"] {
        Value::Object(fields) => fields.clone(),
        _ => Map::new(),
    };
    json!({
        "apiVersion": version.as_str(),
        "kind": "PartialObjectMetadata",
        "metadata": metadata,
    })
}

/// The metadata of the objects of a list. `metadata` is the list's.
pub fn partial_metadata_list<'o>(
    metadata: &Value,
    objects: impl IntoIterator<Item = &'o Value>,
    version: Version,
) -> Value {
    let items: Vec<Value> = objects
        .into_iter()
        .map(|object| partial_metadata(object, version))
        .collect();
    json!({
        "apiVersion": version.as_str(),
        "kind": "PartialObjectMetadataList",
        "metadata": list_metadata(metadata),
        "items": items,
    })
}

fn list_metadata(metadata: &Value) -> Map<String, Value> {
    ["resourceVersion", "continue", "remainingItemCount"]
        .into_iter()
        .filter_map(|field| match &metadata[field] {
            Value::Null => None,
            Value::String(text) if text.is_empty() => None,
            value => Some((field.to_owned(), value.clone())),
        })
        .collect()
}
