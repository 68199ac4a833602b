//! The verbs on objects, each once, for every kind.

use std::{
    sync::{Arc, Mutex},
    time::SystemTime,
};

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use k8shost_types::{
    Error, FieldError, Reason,
    decode::{self, FieldValidation, Format},
    field::Path,
    meta,
    patch::{Patch, PatchKind},
    schema::{self, Type},
    table::{self, Include, Printer, Version},
};
use serde_json::{Value, json};
use tonic::body::Body;

use super::{
    Face,
    answer::{self, Form},
    query::{Query, invalid},
    route::Target,
    status,
    watch::{self, Shown},
};
use crate::registry::{
    Resource, Tenant,
    delete::{DeleteOptions, Propagation},
    json::parse,
    kind::{Kind, NAMESPACES, PODS, Part},
    list::Page,
    write::Preconditions,
};

const JSON_PATCH: &str = "application/json-patch+json";
const MERGE_PATCH: &str = "application/merge-patch+json";
const STRATEGIC_PATCH: &str = "application/strategic-merge-patch+json";

/// Resources of which a delete answers with the object; of others, with a Status.
const RETURNED: [&str; 8] = [
    "namespaces",
    "persistentvolumeclaims",
    "persistentvolumes",
    "pods",
    "podtemplates",
    "resourcequotas",
    "serviceaccounts",
    "services",
];

/// Objects that one page of a deletion of many takes.
const PAGE: i64 = 500;

impl Face {
    /// Answers a request for objects.
    pub(super) async fn objects<B>(
        &self,
        tenant: &Tenant,
        target: Target,
        request: Request<B>,
        query: &Query,
    ) -> Result<Response<Body>, Error>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let Some(kind) = Kind::served(&target.group, &target.version, &target.resource) else {
            return Ok(answer::no_such_page());
        };
        if !kind.rules.namespaced && !target.namespace.is_empty() {
            return Ok(answer::no_such_page());
        }
        let (head, body) = request.into_parts();
        let is_list = head.method == Method::GET && target.name.is_empty();
        let call = Call {
            face: self,
            tenant,
            kind,
            target,
            query,
            headers: &head.headers,
            // Before anything is written: what cannot be answered is not carried out.
            shown: Shown {
                form: answer::accepted(&head.headers, is_list)?,
                include: Include::parse(query.text("includeObject"))?,
            },
        };
        call.refuse_what_is_not_there()?;
        let one = !call.target.name.is_empty();
        match (head.method, call.target.subresource.as_str()) {
            (Method::GET, "") if query.flag("watch") => call.watch().await,
            (Method::GET, "") if !one => call.list().await,
            (_, "status") if !kind.rules.has_status => Ok(answer::no_such_page()),
            (Method::GET, "" | "status") if one => call.get().await,
            (Method::POST, "") if !one => call.create(answer::read(body).await?).await,
            (Method::PUT, "") if one => call.update(Part::Spec, answer::read(body).await?).await,
            (Method::PUT, "status") if one => {
                call.update(Part::Status, answer::read(body).await?).await
            }
            (Method::PATCH, "") if one => call.patch(Part::Spec, answer::read(body).await?).await,
            (Method::PATCH, "status") if one => {
                call.patch(Part::Status, answer::read(body).await?).await
            }
            (Method::DELETE, "") => call.delete(answer::read(body).await?).await,
            (Method::POST, "binding") if one && std::ptr::eq(kind, &raw const PODS) => {
                call.bind(answer::read(body).await?).await
            }
            (_, "" | "status" | "binding") => Err(status::not_allowed()),
            _ => Ok(answer::no_such_page()),
        }
    }
}

/// A request for objects.
struct Call<'a> {
    face: &'a Face,
    tenant: &'a Tenant,
    kind: &'static Kind,
    target: Target,
    query: &'a Query,
    headers: &'a HeaderMap,
    shown: Shown,
}

impl Call<'_> {
    fn resource(&self) -> Resource<'_> {
        self.tenant.resource(self.kind)
    }

    /// Refuses options that would otherwise be passed over in silence.
    fn refuse_what_is_not_there(&self) -> Result<(), Error> {
        if self.query.dry_run("CreateOptions")? {
            return Err(Error::bad_request("dryRun: it is not offered"));
        }
        Ok(())
    }

    async fn get(&self) -> Result<Response<Body>, Error> {
        let Target {
            namespace, name, ..
        } = &self.target;
        let object = self.resource().get(namespace, name).await?;
        self.answer(StatusCode::OK, &object.value)
    }

    /// One object, in the form that the caller accepts.
    fn answer(&self, status: StatusCode, object: &Bytes) -> Result<Response<Body>, Error> {
        let body = match self.shown.form {
            Form::Object => object.clone(),
            Form::Metadata(version) => {
                answer::bytes(&table::partial_metadata(&parse(object)?, version))
            }
            Form::Table(version) => {
                let object = parse(object)?;
                self.table(version, &object["metadata"], [&object])
            }
        };
        Ok(answer::json(status, body))
    }

    /// The Table of objects.
    fn table<'o>(
        &self,
        version: Version,
        metadata: &Value,
        objects: impl IntoIterator<Item = &'o Value>,
    ) -> Bytes {
        let options = table::Options {
            version,
            include: self.shown.include,
            no_headers: false,
        };
        let printer = Printer::of(self.kind.rules.group(), self.kind.resource());
        let now = SystemTime::now();
        answer::bytes(&table::render(printer, metadata, objects, &options, now))
    }

    async fn list(&self) -> Result<Response<Body>, Error> {
        let options = self.query.list(&self.target.namespace)?;
        let page = self.resource().list(&options).await?;
        let body = match self.shown.form {
            Form::Object => self.whole(&page),
            Form::Metadata(version) => {
                let objects = trees(&page)?;
                let metadata = metadata(&page);
                answer::bytes(&table::partial_metadata_list(&metadata, &objects, version))
            }
            Form::Table(version) => self.table(version, &metadata(&page), &trees(&page)?),
        };
        Ok(answer::json(StatusCode::OK, body))
    }

    /// A list, made of the objects as they are stored.
    fn whole(&self, page: &Page) -> Bytes {
        let rules = self.kind.rules;
        let (kind, version) = (rules.kind, rules.api_version);
        let type_of = format!("{{\"kind\":\"{kind}\",\"apiVersion\":\"{version}\",");
        let items: usize = page.items.iter().map(|object| object.value.len() + 1).sum();
        let head = format!(
            "{{\"kind\":\"{kind}List\",\"apiVersion\":\"{version}\",\"metadata\":{},\"items\":[",
            metadata(page)
        );
        let mut body = BytesMut::with_capacity(head.len() + items + 2);
        body.put_slice(head.as_bytes());
        for (at, object) in page.items.iter().enumerate() {
            if at > 0 {
                body.put_u8(b',');
            }
            match object.value.strip_prefix(type_of.as_bytes()) {
                Some(rest) => {
                    body.put_u8(b'{');
                    body.put_slice(rest);
                }
                // Stored before they stood first.
                None => body.put_slice(&object.value),
            }
        }
        body.put_slice(b"]}");
        body.freeze()
    }

    async fn watch(&self) -> Result<Response<Body>, Error> {
        let timeout = self.query.timeout()?;
        let mut options = self.query.watch(&self.target.namespace);
        if !self.target.name.is_empty() {
            options.selectors = self.query.list(&self.target.namespace)?.selectors;
            options.selectors.fields = format!("metadata.name={}", self.target.name);
        }
        let watch = self.resource().watch(&options).await?;
        let inner = self.face.0.clone();
        Ok(watch::answer(inner, watch, timeout, self.shown))
    }

    async fn create(&self, body: Bytes) -> Result<Response<Body>, Error> {
        let (object, warnings) = self.object(&body, "CreateOptions")?;
        if self.kind.rules.namespaced && self.target.namespace.is_empty() {
            return Err(status::not_allowed());
        }
        let created = self
            .resource()
            .create(&self.target.namespace, object)
            .await?;
        let response = self.answer(StatusCode::CREATED, &created.object.value)?;
        Ok(answer::warned(response, &warnings))
    }

    async fn update(&self, part: Part, body: Bytes) -> Result<Response<Body>, Error> {
        let (mut object, warnings) = self.object(&body, "UpdateOptions")?;
        self.is_named(&mut object)?;
        let (resource, namespace) = (self.resource(), &self.target.namespace);
        let make = self.kind.rules.create_on_update && part == Part::Spec;
        let updated = match resource.update(part, namespace, object.clone()).await {
            Err(error) if make && error.reason == Reason::NotFound => {
                let created = resource.create(namespace, object).await?;
                let response = self.answer(StatusCode::CREATED, &created.object.value)?;
                return Ok(answer::warned(response, &warnings));
            }
            updated => updated?,
        };
        self.moved();
        let response = self.answer(StatusCode::OK, &updated.value)?;
        Ok(answer::warned(response, &warnings))
    }

    async fn patch(&self, part: Part, body: Bytes) -> Result<Response<Body>, Error> {
        let kind = match answer::content_type(self.headers) {
            JSON_PATCH => PatchKind::Json,
            MERGE_PATCH => PatchKind::Merge,
            STRATEGIC_PATCH => PatchKind::Strategic,
            _ => return Err(status::no_such_patch()),
        };
        let patch = Patch::parse(kind, &body)?;
        let Target {
            namespace, name, ..
        } = &self.target;
        let (expected, schema) = (name.clone(), self.schema()?);
        let validation = self.validation("PatchOptions")?;
        let warnings: Arc<Mutex<Vec<String>>> = Arc::default();
        let warned = warnings.clone();
        let patched = self
            .resource()
            .patch(part, namespace, name, move |old| {
                let patched = patch.apply(schema, old, validation)?;
                *crate::lock(&warned) = patched.warnings;
                let found = meta::name(&patched.object);
                if found != expected {
                    return Err(misnamed(found, &expected));
                }
                Ok(patched.object)
            })
            .await?;
        self.moved();
        let response = self.answer(StatusCode::OK, &patched.value)?;
        let warnings = std::mem::take(&mut *crate::lock(&warnings));
        Ok(answer::warned(response, &warnings))
    }

    async fn delete(&self, body: Bytes) -> Result<Response<Body>, Error> {
        let options = self.delete_options(&body)?;
        let Target {
            namespace, name, ..
        } = &self.target;
        if name.is_empty() {
            return self.delete_all(options).await;
        }
        let last = self.resource().delete(namespace, name, options).await?;
        self.moved();
        let tree = parse(&last)?;
        let gone = meta::deletion_timestamp(&tree).is_empty();
        if !gone || RETURNED.contains(&self.kind.resource()) {
            return self.answer(StatusCode::OK, &last);
        }
        let mut details = json!({
            "name": name, "kind": self.kind.resource(), "uid": meta::uid(&tree),
        });
        let group = self.kind.rules.group();
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
                let (namespace, name) = self.kind.split(&object.key);
                match self
                    .resource()
                    .delete(namespace, name, options.clone())
                    .await
                {
                    Ok(last) => deleted.push(parse(&last)?),
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
        let rules = self.kind.rules;
        let body = json!({
            "kind": format!("{}List", rules.kind),
            "apiVersion": rules.api_version,
            "metadata": {"resourceVersion": revision.to_string()},
            "items": deleted,
        });
        Ok(answer::json(StatusCode::OK, answer::bytes(&body)))
    }

    async fn bind(&self, body: Bytes) -> Result<Response<Body>, Error> {
        let binding: Value = self.json(&body)?;
        let target = &binding["target"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (kind, node) = (text(&target["kind"]), text(&target["name"]));
        if !matches!(kind.as_str(), "" | "Node") || node.is_empty() {
            let target = Path::new("target");
            let field = FieldError::not_supported(&target.child("kind"), kind.as_str(), &["Node"]);
            return Err(invalid("Binding", field));
        }
        let preconditions = Preconditions {
            uid: Some(text(&binding["metadata"]["uid"])).filter(|uid| !uid.is_empty()),
            resource_version: None,
        };
        let Target {
            namespace, name, ..
        } = &self.target;
        self.tenant
            .bind(namespace, name, node, preconditions)
            .await?;
        let done = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201,
        });
        Ok(answer::json(StatusCode::CREATED, answer::bytes(&done)))
    }

    /// What a namespace waits for may have come.
    fn moved(&self) {
        if std::ptr::eq(self.kind, &raw const NAMESPACES) {
            self.face.0.tenancy.activate(self.tenant);
        }
    }

    /// A body that is JSON.
    fn json(&self, body: &[u8]) -> Result<Value, Error> {
        if answer::content_type(self.headers) != "application/json" {
            return Err(answer::unsupported());
        }
        serde_json::from_slice(body)
            .map_err(|error| Error::bad_request(format!("the body is no JSON: {error}")))
    }

    /// The schema of the kind.
    fn schema(&self) -> Result<Type<'static>, Error> {
        let rules = self.kind.rules;
        schema::builtin()
            .of(rules.group(), rules.version(), rules.kind)
            .ok_or_else(|| {
                let message = format!("there is no schema of {}", rules.kind);
                Error::new(Reason::Internal, message)
            })
    }

    /// What is to be done about fields that the kind does not have.
    fn validation(&self, options: &str) -> Result<FieldValidation, Error> {
        FieldValidation::parse(Some(self.query.text("fieldValidation")), options)
    }

    /// The object in a body, and what to warn of.
    fn object(&self, body: &[u8], options: &str) -> Result<(Value, Vec<String>), Error> {
        let format = match answer::content_type(self.headers) {
            "application/json" => Format::Json,
            "application/yaml" => Format::Yaml,
            _ => return Err(answer::unsupported()),
        };
        let rules = self.kind.rules;
        let expected = decode::Expected {
            group: rules.group(),
            version: rules.version(),
            kind: rules.kind,
            schema: self.schema()?,
        };
        let read = decode::object(body, format, &expected, self.validation(options)?)?;
        Ok((read.object, read.warnings))
    }

    /// Whether an object is the one that the path names; it may leave out its name.
    fn is_named(&self, object: &mut Value) -> Result<(), Error> {
        let expected = &self.target.name;
        let name = meta::name(object).to_owned();
        if name.is_empty() {
            meta::set(object, "name", expected.as_str());
        } else if name != *expected {
            return Err(misnamed(&name, expected));
        }
        Ok(())
    }

    /// The options of a delete, of the body or of the query.
    fn delete_options(&self, body: &[u8]) -> Result<DeleteOptions, Error> {
        let given = if body.is_empty() {
            Value::Null
        } else {
            self.json(body)?
        };
        let text = |name: &str| given["preconditions"][name].as_str().map(str::to_owned);
        let grace = given["gracePeriodSeconds"].as_i64();
        let policy = given["propagationPolicy"].as_str();
        let policy = policy.unwrap_or_else(|| self.query.text("propagationPolicy"));
        let orphan = given["orphanDependents"].as_bool();
        let orphan = orphan.or_else(|| {
            let given = self.query.all("orphanDependents").next();
            given.map(|_| self.query.flag("orphanDependents"))
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
                return Err(invalid("DeleteOptions", field));
            }
            _ => None,
        };
        let Some(propagation) = propagation else {
            let supported = ["Foreground", "Background", "Orphan", "nil"];
            let field = FieldError::not_supported(&path, policy, &supported);
            return Err(invalid("DeleteOptions", field));
        };
        Ok(DeleteOptions {
            propagation,
            grace_period_seconds: grace.or(self.query.number("gracePeriodSeconds")?),
            preconditions: Preconditions {
                uid: text("uid"),
                resource_version: text("resourceVersion"),
            },
        })
    }
}

/// The metadata of a list.
fn metadata(page: &Page) -> Value {
    let mut metadata = json!({"resourceVersion": page.revision.to_string()});
    if !page.continue_token.is_empty() {
        metadata["continue"] = json!(page.continue_token);
    }
    if let Some(remaining) = page.remaining {
        metadata["remainingItemCount"] = json!(remaining);
    }
    metadata
}

/// The objects of a list.
fn trees(page: &Page) -> Result<Vec<Value>, Error> {
    page.items
        .iter()
        .map(|object| parse(&object.value))
        .collect()
}

fn misnamed(name: &str, expected: &str) -> Error {
    Error::bad_request(format!(
        "the name of the object ({name}) does not match the name on the URL ({expected})"
    ))
}
