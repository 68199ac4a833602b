//! What is served by kubelets, pods and services and not by the API server: logs, exec, attach,
//! portforward, proxies. This server reaches none of them; it answers as Kubernetes does up to there.

use std::net::IpAddr;

use http::{Method, Response, StatusCode, header};
use k8shost_types::{Error, FieldError, Reason, field::Path, pod};
use serde_json::Value;
use tonic::body::Body;

use super::{objects::Call, route::Target, status};
use crate::registry::{
    json::parse,
    kind::{Kind, NODES, PODS, SERVICES},
};

/// Why a connection is not made.
const UNREACHED: &str = "this server makes no connections to nodes and pods";

/// The kinds of a node's addresses, the first that there is being taken.
const ADDRESSES: [&str; 5] = [
    "Hostname",
    "InternalDNS",
    "InternalIP",
    "ExternalDNS",
    "ExternalIP",
];

/// A kubelet's port, where the node does not say.
const KUBELET: i64 = 10250;

/// What is connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Connect {
    /// Output of a container.
    Log,
    /// A stream in both directions: exec, attach, portforward.
    Stream,
    /// Another server's own paths.
    Proxy,
}

impl Connect {
    /// What this subresource of a kind is; `proxy` has paths below it.
    pub(super) fn of(kind: &Kind, subresource: &str) -> Option<Self> {
        let (word, below) = subresource.split_once('/').unwrap_or((subresource, ""));
        let is = |other: &'static Kind| std::ptr::eq(kind, other);
        match word {
            "log" if is(&PODS) && below.is_empty() => Some(Self::Log),
            "exec" | "attach" | "portforward" if is(&PODS) && below.is_empty() => {
                Some(Self::Stream)
            }
            "proxy" if is(&PODS) || is(&SERVICES) || is(&NODES) => Some(Self::Proxy),
            _ => None,
        }
    }
}

impl Call<'_> {
    pub(super) async fn connect(
        &self,
        connect: Connect,
        method: &Method,
    ) -> Result<Response<Body>, Error> {
        match connect {
            Connect::Log if matches!(*method, Method::GET | Method::HEAD) => self.log().await,
            Connect::Stream if matches!(*method, Method::GET | Method::POST) => self.stream().await,
            Connect::Log | Connect::Stream => Err(status::not_allowed()),
            Connect::Proxy if std::ptr::eq(self.kind(), &raw const NODES) => {
                self.proxy_node().await
            }
            Connect::Proxy if std::ptr::eq(self.kind(), &raw const SERVICES) => {
                self.proxy_service().await
            }
            Connect::Proxy => self.proxy_pod().await,
        }
    }

    async fn object_of(&self, kind: &'static Kind, name: &str) -> Result<Value, Error> {
        let namespace = &self.target.namespace;
        let object = self.tenant.resource(kind).get(namespace, name, "").await?;
        parse(&object.value)
    }

    async fn log(&self) -> Result<Response<Body>, Error> {
        let Target {
            namespace, name, ..
        } = &self.target;
        self.log_options()?;
        let pod = self.object_of(&PODS, name).await?;
        let container = self.container(&pod)?;
        if pod::node_name(&pod).is_empty() {
            let mut nothing = Response::new(Body::empty());
            *nothing.status_mut() = StatusCode::NO_CONTENT;
            return Ok(nothing);
        }
        let host = self.kubelet(&pod).await?;
        Err(unknown(format!(
            "Get \"https://{host}/containerLogs/{namespace}/{name}/{container}\": {UNREACHED}"
        )))
    }

    /// Judges the options of a log.
    fn log_options(&self) -> Result<(), Error> {
        let mut faults = Vec::new();
        let mut number = |name: &str, least: i64, words: &str| {
            let given = self.query.number(name)?;
            if let Some(given) = given.filter(|given| *given < least) {
                faults.push(FieldError::invalid(&Path::new(name), &given, words));
            }
            Ok::<_, Error>(given.is_some())
        };
        number("tailLines", 0, "must be greater than or equal to 0")?;
        number("limitBytes", 1, "must be greater than 0")?;
        let since = number("sinceSeconds", 1, "must be greater than 0")?;
        if since && !self.query.text("sinceTime").is_empty() {
            let detail = "at most one of `sinceTime` or `sinceSeconds` may be specified";
            faults.push(FieldError::forbidden(&Path::new(""), detail));
        }
        if !self.query.text("stream").is_empty() {
            let path = Path::new("stream");
            faults.push(FieldError::forbidden(&path, "may not be specified"));
        }
        if faults.is_empty() {
            return Ok(());
        }
        Err(Error::invalid("PodLogOptions", &self.target.name, faults))
    }

    /// The container that is asked for, or the pod's only one.
    fn container(&self, pod: &Value) -> Result<String, Error> {
        let asked = self.query.text("container");
        let names = |field: &str| -> Vec<String> {
            let containers = pod["spec"][field].as_array().into_iter().flatten();
            let names = containers.filter_map(|container| container["name"].as_str());
            names.map(str::to_owned).collect()
        };
        let own = names("containers");
        let all = [
            names("initContainers"),
            own.clone(),
            names("ephemeralContainers"),
        ]
        .concat();
        let name = &self.target.name;
        match own.as_slice() {
            _ if all.iter().any(|container| container == asked) => Ok(asked.to_owned()),
            _ if !asked.is_empty() => Err(Error::bad_request(format!(
                "container {asked} is not valid for pod {name}"
            ))),
            [only] => Ok(only.clone()),
            _ => Err(Error::bad_request(format!(
                "a container name must be specified for pod {name}, choose one of: [{}]",
                all.join(" ")
            ))),
        }
    }

    /// Where the kubelet of a bound pod is.
    async fn kubelet(&self, pod: &Value) -> Result<String, Error> {
        let name = pod::node_name(pod);
        let node = match self.tenant.resource(&NODES).get("", name, "").await {
            Ok(object) => parse(&object.value)?,
            // It is told of the pods' resource.
            Err(error) if error.reason == Reason::NotFound => {
                return Err(Error::not_found(PODS.resource(), name));
            }
            Err(error) => return Err(error),
        };
        kubelet_of(&node)
    }

    async fn stream(&self) -> Result<Response<Body>, Error> {
        let name = &self.target.name;
        let pod = self.object_of(&PODS, name).await?;
        if self.target.subresource != "portforward" {
            self.container(&pod)?;
        }
        if pod::node_name(&pod).is_empty() {
            let words = format!("pod {name} does not have a host assigned");
            return Err(Error::bad_request(words));
        }
        self.kubelet(&pod).await?;
        let upgrade = self.headers.get(header::CONNECTION);
        let upgrade = upgrade.and_then(|value| value.to_str().ok());
        if !upgrade.is_some_and(|value| value.to_lowercase().contains("upgrade")) {
            return Err(Error::bad_request("Upgrade request required"));
        }
        Err(unknown(format!("error dialing backend: {UNREACHED}")))
    }

    /// Name and port of what a proxy is to: `name`, `name:port`, `scheme:name:port`.
    fn destination(&self, what: &str) -> Result<(&str, &str), Error> {
        let id = self.target.name.as_str();
        let parts: Vec<&str> = id.split(':').collect();
        match parts[..] {
            [name] if !name.is_empty() => Ok((name, "")),
            [name, port] | ["http" | "https" | "", name, port] if !name.is_empty() => {
                Ok((name, port))
            }
            _ => Err(Error::bad_request(format!(
                "invalid {what} request \"{id}\""
            ))),
        }
    }

    async fn proxy_pod(&self) -> Result<Response<Body>, Error> {
        let (name, _) = self.destination("pod")?;
        let pod = self.object_of(&PODS, name).await?;
        let address = pod["status"]["podIP"].as_str().unwrap_or_default();
        Err(match address.parse() {
            Ok(address) if may_be_dialed(address) => unreached(),
            _ => not_an_address(),
        })
    }

    async fn proxy_node(&self) -> Result<Response<Body>, Error> {
        let (name, _) = self.destination("node")?;
        let object = self.tenant.resource(&NODES).get("", name, "").await?;
        let node = parse(&object.value)?;
        let host = kubelet_of(&node)?;
        let host = host.rsplit_once(':').map_or("", |(host, _)| host);
        let host = host.trim_matches(['[', ']']);
        Err(match host.parse() {
            Ok(address) if !may_be_dialed(address) => not_an_address(),
            _ => unreached(),
        })
    }

    async fn proxy_service(&self) -> Result<Response<Body>, Error> {
        let (name, port) = self.destination("service")?;
        let service = self.object_of(&SERVICES, name).await?;
        let unavailable = |words: String| Error::new(Reason::ServiceUnavailable, words);
        let mut wanted = port;
        if let Ok(number) = port.parse::<i64>() {
            let ports = service["spec"]["ports"].as_array();
            let found = ports.into_iter().flatten().find(|p| p["port"] == number);
            let Some(found) = found else {
                return Err(unavailable(format!(
                    "no service port {number} found for service \"{name}\""
                )));
            };
            wanted = found["name"].as_str().unwrap_or_default();
        }
        let endpoints = match Kind::served("", "v1", "endpoints") {
            Some((kind, _)) => self.object_of(kind, name).await,
            None => Ok(Value::Null),
        };
        let endpoints = endpoints.map_err(|error| match error.reason {
            Reason::NotFound => Error::not_found(SERVICES.resource(), name),
            _ => error,
        })?;
        let subsets = endpoints["subsets"].as_array();
        let none = |id: &str| unavailable(format!("no endpoints available for service \"{id}\""));
        let Some(subsets) = subsets.filter(|subsets| !subsets.is_empty()) else {
            return Err(none(name));
        };
        let found = subsets.iter().any(|subset| {
            let is_filled = |field: &str| subset[field].as_array().is_some_and(|l| !l.is_empty());
            let mut ports = subset["ports"].as_array().into_iter().flatten();
            is_filled("addresses")
                && ports.any(|port| port["name"].as_str().unwrap_or_default() == wanted)
        });
        Err(if found {
            unreached()
        } else {
            none(&self.target.name)
        })
    }
}

/// Host and port of a node's kubelet.
fn kubelet_of(node: &Value) -> Result<String, Error> {
    let addresses = node["status"]["addresses"].as_array();
    let addresses = addresses.map_or(&[][..], Vec::as_slice);
    let address = ADDRESSES.iter().find_map(|kind| {
        let found = addresses.iter().find(|address| address["type"] == *kind)?;
        found["address"].as_str()
    });
    let Some(address) = address else {
        let known = addresses.iter().map(|address| {
            let text = |field: &str| address[field].as_str().unwrap_or_default();
            format!("{{{} {}}}", text("type"), text("address"))
        });
        let known = known.collect::<Vec<_>>().join(" ");
        return Err(unknown(format!(
            "no preferred addresses found; known addresses: [{known}]"
        )));
    };
    let port = &node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"];
    let port = port.as_i64().filter(|port| *port != 0).unwrap_or(KUBELET);
    Ok(if address.contains(':') {
        format!("[{address}]:{port}")
    } else {
        format!("{address}:{port}")
    })
}

/// Whether a proxy may go there: not to the server's own machine, its link, or a group.
fn may_be_dialed(address: IpAddr) -> bool {
    let is_link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    !(address.is_loopback() || address.is_unspecified() || address.is_multicast() || is_link_local)
}

fn unreached() -> Error {
    Error::new(
        Reason::ServiceUnavailable,
        format!("error trying to reach service: {UNREACHED}"),
    )
}

fn not_an_address() -> Error {
    Error::bad_request("address not allowed")
}

fn unknown(words: String) -> Error {
    Error::new(Reason::Unknown, words)
}
