//! Requests for objects: which verb it is, and what is read. Writes are in [`super::writes`].

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use k8shost_types::{
    Error, Reason, Strategy,
    decode::{self, FieldValidation, Format},
    schema::{self, Type},
    table::Include,
};
use serde_json::Value;
use tonic::body::Body;

use super::{
    Face,
    answer::{self, Form},
    connect::Connect,
    query::Query,
    reviews::{self, Asked},
    route::Target,
    shown::Shown,
    watch,
};
use crate::registry::{
    Resource, Tenant,
    kind::{Kind, NAMESPACES, PODS, SCALE},
};

impl Face {
    /// Answers a request for objects, with a warning where Kubernetes has one for all of their kind.
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
        let Some(warning) = reviews::deprecation(&target) else {
            return self.carry_out(tenant, target, request, query).await;
        };
        let answered = self.carry_out(tenant, target, request, query).await;
        let response = answered.unwrap_or_else(|error| answer::refused(&error));
        Ok(answer::warned(response, &[warning.to_owned()]))
    }

    async fn carry_out<B>(
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
        let (head, body) = request.into_parts();
        if let Some(row) = reviews::row(&target) {
            let asked = Asked {
                row,
                tenant,
                target,
                query,
                headers: &head.headers,
            };
            return asked.answer(&head.method, answer::read(body)).await;
        }
        let is_binding = target.group.is_empty() && target.resource == "bindings";
        let served = if is_binding && !target.namespace.is_empty() {
            Kind::served("", &target.version, PODS.resource())
        } else {
            Kind::served(&target.group, &target.version, &target.resource)
        };
        let Some((kind, mut view)) = served else {
            return Ok(answer::no_such_page());
        };
        if target.subresource == "scale" {
            view = Some(&SCALE);
        }
        if !kind.rules.namespaced && !target.namespace.is_empty() {
            return Ok(answer::no_such_page());
        }
        let connect = Connect::of(kind, &target.subresource);
        let form = match connect {
            // What comes is not ours to form.
            Some(_) => Form::Object,
            None => answer::accepted(&head.headers)?,
        };
        let call = Call {
            face: self,
            tenant,
            target,
            query,
            headers: &head.headers,
            // Before anything is written: what cannot be answered is not carried out.
            shown: Shown {
                form,
                include: Include::parse(query.text("includeObject"))?,
                kind,
                view,
            },
        };
        let one = !call.target.name.is_empty();
        if is_binding {
            return match head.method {
                _ if one => Ok(answer::no_such_page()),
                Method::POST => call.bind(answer::read(body).await?).await,
                _ => Err(not_allowed()),
            };
        }
        if let Some(connect) = connect {
            return call.connect(connect, &head.method).await;
        }
        let part = kind
            .rules
            .part(&call.target.subresource)
            .map(|part| part.name);
        match (head.method, part) {
            (Method::GET | Method::HEAD, Some("")) if query.flag("watch") => call.watch().await,
            (Method::GET | Method::HEAD, Some("")) if !one => call.list().await,
            (Method::GET | Method::HEAD, Some(part)) if one && part != "finalize" => {
                call.get().await
            }
            (Method::POST, Some("")) if !one => call.create(answer::read(body).await?).await,
            (Method::PUT, Some(part)) if one => call.update(part, answer::read(body).await?).await,
            (Method::PATCH, Some(part)) if one && part != "finalize" => {
                call.patch(part, answer::read(body).await?).await
            }
            (Method::DELETE, Some("")) => call.delete(answer::read(body).await?).await,
            (method, None) if one && std::ptr::eq(kind, &raw const PODS) => {
                match (method, call.target.subresource.as_str()) {
                    (Method::POST, "binding") => call.bind(answer::read(body).await?).await,
                    (Method::POST, "eviction") => call.evict(answer::read(body).await?).await,
                    (_, "binding" | "eviction") => Err(not_allowed()),
                    _ => Ok(answer::no_such_page()),
                }
            }
            (_, Some(_)) => Err(not_allowed()),
            _ => Ok(answer::no_such_page()),
        }
    }
}

/// A request for objects.
pub(super) struct Call<'a> {
    pub(super) face: &'a Face,
    pub(super) tenant: &'a Tenant,
    pub(super) target: Target,
    pub(super) query: &'a Query,
    pub(super) headers: &'a HeaderMap,
    pub(super) shown: Shown,
}

impl Call<'_> {
    /// The kind that is stored.
    pub(super) fn kind(&self) -> &'static Kind {
        self.shown.kind
    }

    /// The rules of the version that is asked for.
    pub(super) fn rules(&self) -> &'static Strategy {
        self.shown.rules()
    }

    pub(super) fn resource(&self) -> Resource<'_> {
        self.tenant.view(self.shown.kind, self.shown.view)
    }

    async fn get(&self) -> Result<Response<Body>, Error> {
        let Target {
            namespace, name, ..
        } = &self.target;
        let object = self.resource().get(namespace, name).await?;
        self.answer(StatusCode::OK, &object.value)
    }

    /// One object, in the form that the caller accepts.
    pub(super) fn answer(
        &self,
        status: StatusCode,
        object: &Bytes,
    ) -> Result<Response<Body>, Error> {
        Ok(answer::json(status, self.shown.object(object)?))
    }

    async fn list(&self) -> Result<Response<Body>, Error> {
        let options = self.query.list(&self.target.namespace)?;
        let page = self.resource().list(&options).await?;
        Ok(answer::json(StatusCode::OK, self.shown.list(&page)?))
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

    /// What a namespace waits for may have come.
    pub(super) fn moved(&self) {
        if std::ptr::eq(self.kind(), &raw const NAMESPACES) {
            self.face.0.tenancy.activate(self.tenant);
        }
    }

    /// A body that is JSON.
    pub(super) fn json(&self, body: &[u8]) -> Result<Value, Error> {
        const JSON: &str = "application/json";
        let given = answer::content_type(self.headers);
        if given != JSON {
            return Err(answer::unsupported(given, &[JSON]));
        }
        serde_json::from_slice(body)
            .map_err(|error| Error::bad_request(format!("the body is no JSON: {error}")))
    }

    /// The schema of the kind.
    pub(super) fn schema(&self) -> Result<Type<'static>, Error> {
        let rules = self.rules();
        schema_of([rules.group(), rules.version(), rules.kind])
    }

    /// What is to be done about fields that the kind does not have.
    pub(super) fn validation(&self, options: &str) -> Result<FieldValidation, Error> {
        FieldValidation::parse(Some(self.query.text("fieldValidation")), options)
    }

    /// The object in a body, and what to warn of.
    pub(super) fn object(&self, body: &[u8], options: &str) -> Result<(Value, Vec<String>), Error> {
        let rules = self.rules();
        self.typed(body, [rules.group(), rules.version(), rules.kind], options)
    }

    /// The same of another kind: group, version, kind.
    pub(super) fn typed(
        &self,
        body: &[u8],
        kind: [&str; 3],
        options: &str,
    ) -> Result<(Value, Vec<String>), Error> {
        read_typed(body, self.headers, self.query, kind, options)
    }
}

/// The schema of a kind.
fn schema_of([group, version, kind]: [&str; 3]) -> Result<Type<'static>, Error> {
    schema::builtin().of(group, version, kind).ok_or_else(|| {
        let message = format!("there is no schema of {kind}");
        Error::new(Reason::Internal, message)
    })
}

/// The object in a body, which is to be of this group, version and kind, and what to warn of.
pub(super) fn read_typed(
    body: &[u8],
    headers: &HeaderMap,
    query: &Query,
    kind: [&str; 3],
    options: &str,
) -> Result<(Value, Vec<String>), Error> {
    let format = match answer::content_type(headers) {
        "application/json" => Format::Json,
        "application/yaml" => Format::Yaml,
        given => {
            let read = ["application/json", "application/yaml"];
            return Err(answer::unsupported(given, &read));
        }
    };
    let expected = decode::Expected {
        group: kind[0],
        version: kind[1],
        kind: kind[2],
        schema: schema_of(kind)?,
    };
    let validation = FieldValidation::parse(Some(query.text("fieldValidation")), options)?;
    let read = decode::object(body, format, &expected, validation)?;
    Ok((read.object, read.warnings))
}

/// What Kubernetes answers to a method that a resource does not have.
pub(super) fn not_allowed() -> Error {
    Error::new(
        Reason::MethodNotAllowed,
        "the server does not allow this method on the requested resource",
    )
}
