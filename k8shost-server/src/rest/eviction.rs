//! What is sent to pods and is no part of them: bindings and evictions.

use bytes::Bytes;
use http::{Response, StatusCode};
use k8shost_types::{Error, FieldError, Reason, field::Path, meta};
use serde_json::{Value, json};
use tonic::body::Body;

use super::{answer, objects::Call, query::Query, route::Target};
use crate::registry::write::{Preconditions, elsewhere};

/// The older version of an eviction, which is the same.
const BETA: &str = "policy/v1beta1";

impl Call<'_> {
    /// Gives a pod to a node. The pod is the one of the path, if that names one, or else the binding's.
    pub(super) async fn bind(&self, body: Bytes) -> Result<Response<Body>, Error> {
        let options = self.options("CreateOptions")?;
        let (binding, warnings) = self.typed(&body, ["", "v1", "Binding"], "CreateOptions")?;
        self.is_here(&binding)?;
        let name = meta::name(&binding);
        if self.target.name.is_empty() && name.is_empty() {
            return Err(Error::bad_request("Name parameter required."));
        }
        if !self.target.name.is_empty() && name != self.target.name {
            return Err(Error::bad_request(
                "name in URL does not match name in Binding object",
            ));
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let target = &binding["target"];
        let (kind, node) = (text(&target["kind"]), text(&target["name"]));
        let path = Path::new("target");
        let fault = if !matches!(kind.as_str(), "" | "Node") {
            let supported = ["Node", "<empty>"];
            Some(FieldError::not_supported(
                &path.child("kind"),
                kind.as_str(),
                &supported,
            ))
        } else if node.is_empty() {
            Some(FieldError::required(&path.child("name"), ""))
        } else {
            None
        };
        if let Some(fault) = fault {
            return Err(Error::new(Reason::Unknown, fault.to_string()));
        }
        let preconditions = Preconditions {
            uid: Some(meta::uid(&binding).to_owned()).filter(|uid| !uid.is_empty()),
            resource_version: None,
        };
        self.tenant
            .bind(
                &self.target.namespace,
                name,
                node,
                preconditions,
                options.dry_run,
            )
            .await?;
        Ok(answer::warned(done(), &warnings))
    }

    /// Deletes a pod, if its disruption budget allows that.
    pub(super) async fn evict(&self, body: Bytes) -> Result<Response<Body>, Error> {
        let dry_run = self.query.dry_run("CreateOptions")?;
        let body = of_today(body);
        let eviction = ["policy", "v1", "Eviction"];
        let (eviction, warnings) = self.typed(&body, eviction, "CreateOptions")?;
        self.is_here(&eviction)?;
        let Target {
            namespace, name, ..
        } = &self.target;
        if meta::name(&eviction) != name {
            return Err(Error::bad_request(
                "name in URL does not match name in Eviction object",
            ));
        }
        let mut options = Self::delete_options_of(&eviction["deleteOptions"], &Query::default())?;
        options.dry_run |= dry_run;
        self.tenant.evict(namespace, name, options).await?;
        Ok(answer::warned(done(), &warnings))
    }

    /// Whether an object is of the path's namespace; it may leave that out.
    pub(super) fn is_here(&self, object: &Value) -> Result<(), Error> {
        let given = meta::namespace(object);
        if given.is_empty() || given == self.target.namespace {
            return Ok(());
        }
        Err(elsewhere())
    }
}

/// An eviction of the older version as one of today's.
fn of_today(body: Bytes) -> Bytes {
    if memchr::memmem::find(&body, BETA.as_bytes()).is_none() {
        return body;
    }
    match serde_json::from_slice::<Value>(&body) {
        Ok(mut eviction) if eviction["apiVersion"] == BETA => {
            eviction["apiVersion"] = json!("policy/v1");
            answer::bytes(&eviction)
        }
        _ => body,
    }
}

/// The answer to what leaves no object.
fn done() -> Response<Body> {
    let done = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201,
    });
    answer::json(StatusCode::CREATED, answer::bytes(&done))
}
