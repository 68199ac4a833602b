//! Kinds that are answered and not stored: reviews, and the state of the server's components.
//!
//! There are no identities and no authorization yet: whoever reaches the server is nobody in particular,
//! and may do everything.

use std::time::SystemTime;

use http::{HeaderMap, Method, Response, StatusCode};
use k8shost_types::{
    Error, Reason, authentication,
    authorization::{self, Review},
    kinds::{self, BUILT_IN, Kind},
    meta, protobuf,
    selector::{FieldSelector, LabelSelector},
    table::{self, Include, Printer},
    time,
};
use serde_json::{Value, json};
use tonic::body::Body;

use super::{
    answer::{self, Form},
    objects::read_typed,
    query::Query,
    route::Target,
    shown, status,
};
use crate::registry::{Tenant, write::elsewhere};

/// The groups of kinds that are only ever sent.
const GROUPS: [&str; 2] = ["authentication.k8s.io", "authorization.k8s.io"];

/// The resource that tells how the server is.
const COMPONENTS: &str = "componentstatuses";

/// The row of a kind that is answered here, and at what is not an object of it.
pub(super) fn row(target: &Target) -> Option<&'static Kind> {
    let row = kinds::find(BUILT_IN, &target.group, &target.version, &target.resource)?;
    is_virtual(row).then_some(row)
}

/// Whether a kind is answered here.
pub(super) fn is_virtual(row: &Kind) -> bool {
    GROUPS.contains(&&*row.group) || (row.group.is_empty() && row.plural == COMPONENTS)
}

/// A request for a kind that is not stored.
pub(super) struct Asked<'a> {
    pub(super) row: &'static Kind,
    pub(super) tenant: &'a Tenant,
    pub(super) target: Target,
    pub(super) query: &'a Query,
    pub(super) headers: &'a HeaderMap,
}

impl Asked<'_> {
    /// Answers it.
    pub(super) async fn answer(
        &self,
        method: &Method,
        body: &[u8],
    ) -> Result<Response<Body>, Error> {
        let (one, part) = (
            !self.target.name.is_empty(),
            !self.target.subresource.is_empty(),
        );
        let (is_list, row) = (*method == Method::GET && !one, self.row);
        let messages = protobuf::serves(&row.group, &row.version, &row.kind);
        let tables = row.plural == COMPONENTS;
        let (form, encoding) = answer::accepted(self.headers, is_list, messages, tables)?;
        if part || self.row.namespaced == self.target.namespace.is_empty() {
            return Ok(answer::no_such_page());
        }
        match *method {
            Method::GET | Method::HEAD if self.row.plural == COMPONENTS => {
                let shown = self.components(form).await?;
                shown::written(StatusCode::OK, encoding, &shown)
            }
            Method::POST if !one && self.row.can("create") => {
                let (object, warnings) = self.review(body).await?;
                let answer = shown::written(StatusCode::CREATED, encoding, &object)?;
                Ok(answer::warned(answer, &warnings))
            }
            _ if one && self.row.plural != COMPONENTS => Ok(answer::no_such_page()),
            _ => Err(status::not_allowed()),
        }
    }

    /// A review, answered, and what to warn of.
    async fn review(&self, body: &[u8]) -> Result<(Value, Vec<String>), Error> {
        self.query.dry_run("CreateOptions")?;
        let kind = [&*self.row.group, &*self.row.version, &*self.row.kind];
        let (mut object, warnings) =
            read_typed(body, self.headers, self.query, kind, "CreateOptions")?;
        meta::set_kind(&mut object, &self.row.api_version(), &self.row.kind);
        let given = meta::namespace(&object).to_owned();
        if !object["metadata"].is_object() {
            object["metadata"] = json!({});
        }
        if !self.row.namespaced {
            meta::remove(&mut object, "namespace");
        } else if given.is_empty() {
            meta::set(&mut object, "namespace", self.target.namespace.as_str());
        } else if given != self.target.namespace {
            return Err(elsewhere());
        }
        self.decide(&mut object).await?;
        Ok((object, warnings))
    }

    /// Says what is to be said.
    async fn decide(&self, object: &mut Value) -> Result<(), Error> {
        let access = match &*self.row.kind {
            "SelfSubjectAccessReview" => Some(Review::Own),
            "SubjectAccessReview" => Some(Review::Subject),
            "LocalSubjectAccessReview" => Some(Review::Local),
            _ => None,
        };
        if let Some(review) = access {
            authorization::validate(review, object)?;
            object["status"] = json!({"allowed": true});
            return Ok(());
        }
        match &*self.row.kind {
            "SelfSubjectRulesReview" => {
                if object["spec"]["namespace"]
                    .as_str()
                    .is_none_or(str::is_empty)
                {
                    return Err(Error::bad_request("no namespace on request"));
                }
                object["metadata"] = json!({});
                object["spec"] = json!({});
                object["status"] = authorization::all_rules();
            }
            "SelfSubjectReview" => {
                let now = time::format(SystemTime::now());
                object["metadata"] = json!({"creationTimestamp": now});
                object["status"] = json!({"userInfo": {
                    "username": "system:anonymous",
                    "groups": ["system:unauthenticated"],
                }});
            }
            _ => {
                let spec = &object["spec"];
                let token = spec["token"].as_str().unwrap_or_default();
                if token.is_empty() {
                    return Err(Error::bad_request(
                        "token is required for TokenReview in authentication",
                    ));
                }
                let audiences = spec["audiences"].as_array().map_or(&[][..], Vec::as_slice);
                let token = authentication::bearer(token);
                object["status"] = self.tenant.review_token(token, audiences).await?;
            }
        }
        Ok(())
    }

    /// What the server consists of. It is one program with a store.
    async fn components(&self, form: Form) -> Result<Value, Error> {
        let name = self.target.name.as_str();
        if self.query.flag("watch") {
            let words = format!("watch is not supported on resources of kind \"{COMPONENTS}\"");
            return Err(Error::new(Reason::MethodNotAllowed, words).about("", COMPONENTS, ""));
        }
        let labels = LabelSelector::parse(self.query.text("labelSelector"))?;
        let fields = FieldSelector::parse(self.query.text("fieldSelector"))?
            .supported(&["metadata.name", "metadata.namespace"])?;
        let include = Include::parse(self.query.text("includeObject"))?;
        let store = self.tenant.log().read().await;
        let (status, message) = match &store {
            Ok(_) => ("True", "ok".to_owned()),
            Err(error) => ("False", error.message.clone()),
        };
        let component = json!({
            "metadata": {"name": "store"},
            "conditions": [{"type": "Healthy", "status": status, "message": message}],
        });
        let named = |field: &str| match field {
            "metadata.name" => Some("store"),
            _ => None,
        };
        let found = vec![component];
        let found: Vec<Value> = if name.is_empty() {
            let selected = labels.matches(|_| None) && fields.matches(named);
            found.into_iter().filter(|_| selected).collect()
        } else if name == "store" {
            found
        } else {
            return Err(Error::not_found("componentstatus", name));
        };
        let options = |version| table::Options {
            version,
            include,
            no_headers: false,
        };
        Ok(match form {
            Form::Table(version) => table::render(
                Printer::of("", COMPONENTS),
                &json!({}),
                &found,
                &options(version),
                SystemTime::now(),
            ),
            Form::Metadata(version) if name.is_empty() => {
                table::partial_metadata_list(&json!({}), &found, version)
            }
            Form::Metadata(version) => table::partial_metadata(&found[0], version),
            Form::Object if name.is_empty() => json!({
                "kind": "ComponentStatusList", "apiVersion": "v1", "metadata": {}, "items": found,
            }),
            Form::Object => {
                let mut component = found[0].clone();
                meta::set_kind(&mut component, "v1", "ComponentStatus");
                component
            }
        })
    }
}

/// What Kubernetes warns of whoever asks for a resource.
pub(super) fn deprecation(target: &Target) -> Option<&'static str> {
    match (
        target.group.as_str(),
        target.version.as_str(),
        target.resource.as_str(),
    ) {
        ("", "v1", "endpoints") => {
            Some("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice")
        }
        ("", "v1", COMPONENTS) => Some("v1 ComponentStatus is deprecated in v1.19+"),
        _ => None,
    }
}
