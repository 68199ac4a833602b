//! What a fresh project has besides its namespaces, held once for all projects.

use std::time::{Duration, SystemTime};

use k8shost_store::log::Template;
use k8shost_types::{
    Error,
    addresses::{self, ServiceNetwork},
    rbac, scheduling,
};
use serde_json::{Value, json};

use super::{
    attributes, json as stored,
    kind::{KINDS, Kind},
    namespaces::INITIAL,
    ownership::{Ownership, WriteOptions},
};

/// The template's name and version, by which its objects' uids are told from those of others.
const NAME: &str = "kubernetes-1.35/1";
/// When this version of it was made: 2026-11-21.
const MADE: Duration = Duration::from_secs(1_795_219_200);

/// The template for Services of this network.
pub(crate) fn template(network: &ServiceNetwork) -> Template {
    let objects = objects(network).into_iter().filter_map(|object| {
        let name = object["metadata"]["name"].clone();
        make(object, network)
            .inspect_err(|error| tracing::error!(%error, %name, "not part of fresh projects"))
            .ok()
    });
    Template::new(objects)
}

/// The objects as a client would send them.
fn objects(network: &ServiceNetwork) -> Vec<Value> {
    let mut objects = rbac::bootstrap();
    for (name, value) in scheduling::SYSTEM_CLASSES {
        objects.push(json!({
            "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
            "metadata": {"name": name}, "value": value,
        }));
    }
    for namespace in INITIAL {
        objects.push(json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": "default", "namespace": namespace},
        }));
    }
    let metadata =
        |labels: Value| json!({"name": "kubernetes", "namespace": "default", "labels": labels});
    let addresses = network
        .cidrs
        .iter()
        .filter_map(|range| range.hosts().next());
    objects.push(json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": metadata(json!({"component": "apiserver", "provider": "kubernetes"})),
        "spec": {
            "clusterIP": addresses.map(|address| address.to_string()).next(),
            "ipFamilyPolicy": "SingleStack",
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}],
        },
    }));
    // Where the servers are reached is not known to them: who knows it writes it here.
    objects.push(json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": metadata(json!({"kubernetes.io/service-name": "kubernetes"})),
        "addressType": "IPv4", "endpoints": [],
        "ports": [{"name": "https", "port": 6443, "protocol": "TCP"}],
    }));
    objects
}

fn make(
    mut object: Value,
    network: &ServiceNetwork,
) -> Result<
    (
        k8shost_store::log::Key,
        bytes::Bytes,
        k8shost_store::log::Attributes,
    ),
    Error,
> {
    let is = |kind: &&&Kind| {
        object["kind"] == *kind.rules.kind && object["apiVersion"] == *kind.rules.api_version
    };
    let kind = KINDS
        .iter()
        .find(is)
        .copied()
        .ok_or_else(|| Error::bad_request(format!("no kind is called {}", object["kind"])))?;
    let text = |field: &str| {
        object["metadata"][field]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let key = kind.key(&text("namespace"), &text("name"));
    let made = SystemTime::UNIX_EPOCH + MADE;
    let uid = uuid::Uuid::new_v5(
        &uuid::Uuid::NAMESPACE_URL,
        format!("{NAME}/{key}").as_bytes(),
    );
    let options = WriteOptions {
        manager: "kube-apiserver".into(),
        dry_run: false,
    };
    kind.rules.complete(&mut object)?;
    let ownership = Ownership::at(kind, None, "", &options, made);
    ownership.update(None, &mut object);
    let uid = uid.to_string();
    if kind.allocate.is_some() {
        addresses::allocate(&mut object, None, network, &|_| false, &|_| false, 0)?;
    }
    kind.rules.create(&mut object, &uid, made, "")?;
    let value = stored::Template::new(&object).at(Some(Template::REVISION));
    Ok((key.as_str().into(), value, attributes(kind, &object)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_it_is_made_and_takes_little() {
        let network = ServiceNetwork::default();
        let objects = objects(&network);
        let mut bytes = 0;
        for object in objects {
            let (key, value, attributes) = make(object, &network).unwrap();
            assert!(Kind::of_key(&key).is_some(), "{key:?}");
            bytes += value.len();
            if &*key == "services/default/kubernetes" {
                assert_eq!(attributes.claims.to_vec(), ["ip/10.96.0.1".into()]);
            }
        }
        assert!(bytes < 256 << 10, "{bytes} bytes");
    }
}
