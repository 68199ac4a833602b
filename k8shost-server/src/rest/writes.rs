//! Writes of objects, each verb once, for every kind.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Response, StatusCode, header};
use k8shost_types::{
    Error, FieldError, Reason,
    apply::{self, manager_name},
    decode::{self, Decoded, Format, Unreadable},
    field::Path,
    kinds, meta,
    patch::{Patch, PatchKind},
};
use serde_json::{Value, json};
use tonic::body::Body;

use super::{
    answer,
    objects::Call,
    query::{Query, invalid},
    route::Target,
    status,
};
use crate::registry::{
    delete::{DeleteOptions, Propagation},
    json::parse,
    ownership::WriteOptions,
    write::{Applied, Preconditions, Update},
};

const JSON_PATCH: &str = "application/json-patch+json";
const MERGE_PATCH: &str = "application/merge-patch+json";
const STRATEGIC_PATCH: &str = "application/strategic-merge-patch+json";
const APPLY_PATCH: &str = "application/apply-patch+yaml";

/// Objects that one page of a deletion of many takes.
const PAGE: i64 = 500;

impl Call<'_> {
    /// How the request writes, by options of this kind.
    ///
    /// # Errors
    /// Invalid, about the options.
    pub(super) fn options(&self, kind: &str) -> Result<WriteOptions, Error> {
        let dry_run = self.query.dry_run(kind)?;
        let manager = self.query.text("fieldManager");
        let mut errors = Vec::new();
        meta::validate_manager(manager, &Path::new("fieldManager"), &mut errors);
        if !errors.is_empty() {
            return Err(invalid(kind, errors));
        }
        let agent = self.headers.get(header::USER_AGENT);
        let agent = agent.and_then(|agent| agent.to_str().ok());
        Ok(WriteOptions {
            manager: manager_name(manager, agent.unwrap_or_default()).into(),
            dry_run,
        })
    }

    pub(super) async fn create(&self, body: Bytes) -> Result<Response<Body>, Error> {
        if self.rules().namespaced && self.target.namespace.is_empty() {
            return Err(status::not_allowed());
        }
        let options = self.options("CreateOptions")?;
        let (object, warnings) = self.object(&body, "CreateOptions")?;
        if !meta::resource_version(&object).is_empty() {
            // In Kubernetes no error of the API.
            return Err(Error::new(
                Reason::Unknown,
                "resourceVersion should not be set on objects to be created",
            ));
        }
        let created = self
            .resource()
            .create(&self.target.namespace, object, &options)
            .await?;
        let response = self.answer(StatusCode::CREATED, &created.object.value)?;
        Ok(answer::warned(response, &warnings))
    }

    pub(super) async fn update(
        &self,
        part: &'static str,
        body: Bytes,
    ) -> Result<Response<Body>, Error> {
        let options = self.options("UpdateOptions")?;
        let read = self.reader("UpdateOptions")?;
        let name = self.target.name.clone();
        let read = move || {
            let mut read = read(&body)?;
            is_named(&mut read.object, &name)?;
            Ok(read)
        };
        let Decoded { object, warnings } = read()?;
        let (resource, namespace) = (self.resource(), &self.target.namespace);
        let again = read.clone();
        let again = move || again().map(|read: Decoded| read.object);
        let updated = match resource
            .update(part, namespace, object, again, &options)
            .await
        {
            Err(error)
                if error.reason == Reason::NotFound
                    && part.is_empty()
                    && self.rules().create_on_update =>
            {
                let object = read()?.object;
                let created = resource.create(namespace, object, &options).await?;
                let response = self.answer(StatusCode::CREATED, &created.object.value)?;
                return Ok(answer::warned(response, &warnings));
            }
            updated => updated?,
        };
        self.moved();
        let response = self.answer(StatusCode::OK, &updated.value)?;
        Ok(answer::warned(response, &warnings))
    }

    pub(super) async fn patch(
        &self,
        part: &'static str,
        body: Bytes,
    ) -> Result<Response<Body>, Error> {
        let kind = match answer::content_type(self.headers) {
            JSON_PATCH => PatchKind::Json,
            MERGE_PATCH => PatchKind::Merge,
            APPLY_PATCH => return self.apply(part, body).await,
            _ if self.rules().custom.is_some() => return Err(status::no_such_custom_patch()),
            STRATEGIC_PATCH => PatchKind::Strategic,
            _ => return Err(status::no_such_patch()),
        };
        let options = self.options("PatchOptions")?;
        if self.query.all("force").next().is_some() {
            let detail = "may not be specified for non-apply patch";
            let field = FieldError::forbidden(&Path::new("force"), detail);
            return Err(invalid("PatchOptions", [field]));
        }
        let patch = Patch::parse(kind, &body)?;
        let Target {
            namespace, name, ..
        } = &self.target;
        let (expected, shown) = (name.clone(), self.shown.clone());
        let validation = self.query.validation("PatchOptions")?;
        let warnings: Arc<Mutex<Vec<String>>> = Arc::default();
        let warned = warnings.clone();
        // Who speaks of managedFields speaks of them as they are shown. Who does not, sends none.
        let in_full = memchr::memmem::find(&body, b"managedFields").is_some();
        let update = Update::Patch(Box::new(move |old| {
            let schema = shown.schema()?;
            let patched = if in_full {
                let mut full = old.clone();
                apply::expand_fields(&mut full);
                let mut patched = patch.apply(schema, &full, validation)?;
                apply::store_fields(&mut patched.object);
                patched
            } else {
                let mut patched = patch.apply(schema, old, validation)?;
                meta::remove(&mut patched.object, "managedFields");
                patched
            };
            *crate::lock(&warned) = patched.warnings;
            let found = meta::name(&patched.object);
            if found != expected {
                return Err(misnamed(found, &expected));
            }
            Ok(patched.object)
        }));
        let patched = self
            .resource()
            .modify(part, namespace, name, update, &options)
            .await?;
        self.moved();
        let response = self.answer(StatusCode::OK, &patched.value)?;
        let warnings = std::mem::take(&mut *crate::lock(&warnings));
        Ok(answer::warned(response, &warnings))
    }

    async fn apply(&self, part: &'static str, body: Bytes) -> Result<Response<Body>, Error> {
        let options = self.options("PatchOptions")?;
        if self.query.text("fieldManager").is_empty() {
            let path = Path::new("fieldManager");
            let field = FieldError::required(&path, "is required for apply patch");
            return Err(invalid("PatchOptions", [field]));
        }
        let validation = self.query.validation("PatchOptions")?;
        let read =
            decode::parse(&body, Format::Yaml, None).map_err(|unreadable| match unreadable {
                Unreadable::Excess(error) => *error,
                Unreadable::Syntax(words) => {
                    Error::bad_request(format!("error decoding YAML: {words}"))
                }
            })?;
        let warnings = validation
            .judge(read.strict)
            .map_err(|words| Error::bad_request(format!("error strict decoding YAML: {words}")))?;
        let mut config = read.value;
        is_named(&mut config, &self.target.name)?;
        let Target {
            namespace, name, ..
        } = &self.target;
        let force = self.query.flag("force");
        let resource = self.resource();
        let applied = if part.is_empty() {
            resource
                .apply(namespace, name, config, force, &options)
                .await?
        } else {
            let update = Update::Apply { config, force };
            Applied::Changed(
                resource
                    .modify(part, namespace, name, update, &options)
                    .await?,
            )
        };
        self.moved();
        let response = match applied {
            Applied::Created(created) => self.answer(StatusCode::CREATED, &created.object.value),
            Applied::Changed(object) => self.answer(StatusCode::OK, &object.value),
        }?;
        Ok(answer::warned(response, &warnings))
    }

    pub(super) async fn delete(&self, body: Bytes) -> Result<Response<Body>, Error> {
        let options = self.delete_options(&body)?;
        let Target {
            namespace, name, ..
        } = &self.target;
        if name.is_empty() {
            return self.delete_all(options).await;
        }
        let last = self.resource().delete(namespace, name, options).await?;
        self.moved();
        let tree = parse(&last.value)?;
        let gone = meta::deletion_timestamp(&tree).is_empty();
        let rules = self.rules();
        if !gone || kinds::answers_with_deleted(rules.group(), &rules.resource) {
            return self.answer(StatusCode::OK, &last.value);
        }
        let mut details = json!({
            "name": name, "kind": self.kind().resource(), "uid": meta::uid(&tree),
        });
        let group = self.rules().group();
        if !group.is_empty() {
            details["group"] = json!(group);
        }
        let done = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
            "details": details,
        });
        Ok(answer::json(StatusCode::OK, answer::bytes(&done)))
    }

    /// Deletes what a list would give, page by page, and answers with it.
    async fn delete_all(&self, options: DeleteOptions) -> Result<Response<Body>, Error> {
        let mut list = self.query.list(&self.target.namespace)?;
        if list.limit == 0 {
            list.limit = PAGE;
        }
        let whole = self.query.number("limit")?.unwrap_or(0) == 0;
        let mut deleted = Vec::new();
        let revision = loop {
            let page = self.resource().list(&list).await?;
            for object in &page.items {
                let (namespace, name) = self.kind().split(&object.key);
                match self
                    .resource()
                    .delete(namespace, name, options.clone())
                    .await
                {
                    Ok(_) => deleted.push(self.shown.tree(&object.value)?),
                    // Somebody else was faster.
                    Err(error) if error.reason == Reason::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
            list.continue_token = page.continue_token;
            if list.continue_token.is_empty() || !whole {
                break page.revision;
            }
        };
        self.moved();
        let metadata = json!({"resourceVersion": revision.to_string()});
        let body = self.shown.whole(&metadata, deleted);
        Ok(answer::json(StatusCode::OK, answer::bytes(&body)))
    }

    /// The options of a delete, of the body or of the query.
    fn delete_options(&self, body: &[u8]) -> Result<DeleteOptions, Error> {
        let given = if body.is_empty() {
            Value::Null
        } else {
            self.json(body)?
        };
        Self::delete_options_of(&given, self.query)
    }

    /// Options that were sent, and what the query says where they do not.
    pub(super) fn delete_options_of(given: &Value, query: &Query) -> Result<DeleteOptions, Error> {
        let text = |name: &str| given["preconditions"][name].as_str().map(str::to_owned);
        let grace = given["gracePeriodSeconds"].as_i64();
        let policy = given["propagationPolicy"].as_str();
        let policy = policy.unwrap_or_else(|| query.text("propagationPolicy"));
        let orphan = given["orphanDependents"].as_bool();
        let orphan = orphan.or_else(|| {
            let given = query.all("orphanDependents").next();
            given.map(|_| query.flag("orphanDependents"))
        });
        let path = Path::new("propagationPolicy");
        let propagation = match (policy, orphan) {
            ("", None) => Some(None),
            ("", Some(true)) | ("Orphan", None) => Some(Some(Propagation::Orphan)),
            ("", Some(false)) | ("Background", None) => Some(Some(Propagation::Background)),
            ("Foreground", None) => Some(Some(Propagation::Foreground)),
            (_, Some(_)) => {
                let detail = "orphanDependents and deletionPropagation cannot be both set";
                let field = FieldError::invalid(&path, policy, detail);
                return Err(invalid("DeleteOptions", [field]));
            }
            _ => None,
        };
        let Some(propagation) = propagation else {
            let supported = ["Foreground", "Background", "Orphan", "nil"];
            let field = FieldError::not_supported(&path, policy, &supported);
            return Err(invalid("DeleteOptions", [field]));
        };
        let mut dry_run = query.dry_run("DeleteOptions")?;
        for value in given["dryRun"].as_array().into_iter().flatten() {
            let value = value.as_str().unwrap_or_default();
            if value != "All" {
                let path = Path::new("dryRun");
                let field = FieldError::not_supported(&path, &json!([value]), &["All"]);
                return Err(invalid("DeleteOptions", [field]));
            }
            dry_run = true;
        }
        Ok(DeleteOptions {
            dry_run,
            propagation,
            grace_period_seconds: grace.or(query.number("gracePeriodSeconds")?),
            preconditions: Preconditions {
                uid: text("uid"),
                resource_version: text("resourceVersion"),
            },
        })
    }
}

/// Whether an object is the one that the path names; it may leave out its name.
fn is_named(object: &mut Value, expected: &str) -> Result<(), Error> {
    let name = meta::name(object).to_owned();
    if name.is_empty() {
        meta::set(object, "name", expected);
    } else if name != expected {
        return Err(misnamed(&name, expected));
    }
    Ok(())
}

fn misnamed(name: &str, expected: &str) -> Error {
    Error::bad_request(format!(
        "the name of the object ({name}) does not match the name on the URL ({expected})"
    ))
}
