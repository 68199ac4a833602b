//! Requests for objects: which verb it is, and what is read. Writes are in [`super::writes`].

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use k8shost_types::{
    Error, FieldError, Reason, Strategy,
    decode::{self, Decoded, Expected, Format, Unreadable},
    field::Path,
    protobuf, schema,
    table::Include,
};
use serde_json::Value;
use tonic::body::Body;

use super::{
    Face,
    answer::{self, Encoding, Form},
    connect::Connect,
    discovery,
    query::{Query, invalid},
    reviews::{self, Asked},
    route::Target,
    shown::Shown,
    status, watch,
};
use crate::registry::{
    Resource, Tenant,
    kind::{Kind, NAMESPACES, PODS, SCALE},
};

impl Face {
    /// Answers a request for objects, with a warning where Kubernetes has one for all of their kind.
    pub(super) async fn objects(
        &self,
        tenant: &Tenant,
        target: Target,
        request: Request<Bytes>,
        query: &Query,
    ) -> Result<Response<Body>, Error> {
        let Some(warning) = reviews::deprecation(&target) else {
            return self.carry_out(tenant, target, request, query).await;
        };
        let answered = self.carry_out(tenant, target, request, query).await;
        let response = answered.unwrap_or_else(|error| answer::refused(&error));
        Ok(answer::warned(response, &[warning.to_owned()]))
    }

    async fn carry_out(
        &self,
        tenant: &Tenant,
        target: Target,
        request: Request<Bytes>,
        query: &Query,
    ) -> Result<Response<Body>, Error> {
        let (head, body) = request.into_parts();
        if let Some(row) = reviews::row(&target) {
            let asked = Asked {
                row,
                tenant,
                target,
                query,
                headers: &head.headers,
            };
            return asked.answer(&head.method, &body).await;
        }
        let is_binding = target.group.is_empty() && target.resource == "bindings";
        let served = if is_binding && !target.namespace.is_empty() {
            tenant.served("", &target.version, PODS.resource())
        } else {
            tenant.served(&target.group, &target.version, &target.resource)
        };
        let Some((kind, mut view)) = served else {
            return discovery::unknown(tenant.own().as_deref(), &target.group);
        };
        if target.subresource == "scale" {
            view = Some(&SCALE);
        }
        if !kind.rules.namespaced && !target.namespace.is_empty() {
            return Ok(answer::no_such_page());
        }
        let is_list = head.method == Method::GET && target.name.is_empty();
        let rules = kind.rules_in(view);
        let messages = protobuf::serves(rules.group(), rules.version(), &rules.kind);
        // Before anything is written: what cannot be answered is not carried out.
        let connect = Connect::of(&kind, &target.subresource);
        let (form, encoding) = match connect {
            // What comes is not ours to form.
            Some(_) => (Form::Object, Encoding::Json),
            None => {
                let tables = target.subresource != "token";
                answer::accepted(&head.headers, is_list, messages, tables)?
            }
        };
        let call = Call {
            face: self,
            tenant,
            target,
            query,
            headers: &head.headers,
            shown: Shown {
                form,
                encoding,
                include: Include::parse(query.text("includeObject"))?,
                kind,
                view,
            },
        };
        let kind = call.kind();
        let one = !call.target.name.is_empty();
        if is_binding {
            return match head.method {
                _ if one => Ok(answer::no_such_page()),
                Method::POST => call.bind(body).await,
                _ => Err(status::not_allowed()),
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
            (Method::GET, Some("")) if query.flag("watch") || call.target.watch => {
                call.watch().await
            }
            _ if call.target.watch => Err(status::not_allowed()),
            (Method::GET, Some("")) if !one => call.list().await,
            (Method::GET, Some(part)) if one && part != "finalize" => call.get().await,
            (Method::POST, Some("")) if !one => call.create(body).await,
            (Method::PUT, Some(part)) if one => call.update(part, body).await,
            (Method::PATCH, Some(part)) if one && part != "finalize" => {
                call.patch(part, body).await
            }
            (Method::DELETE, Some("")) if one || call.kind().resource() != "namespaces" => {
                call.delete(body).await
            }
            (method, None) if one && is_sent(kind, &call.target.subresource) => {
                match (method, call.target.subresource.as_str()) {
                    (Method::POST, "binding") => call.bind(body).await,
                    (Method::POST, "eviction") => call.evict(body).await,
                    (Method::POST, "token") => call.token(body).await,
                    _ => Err(status::not_allowed()),
                }
            }
            (_, Some(_)) => Err(status::not_allowed()),
            _ => Ok(answer::no_such_page()),
        }
    }
}

/// Whether a subresource is what is sent to an object, and no part of it.
pub(super) fn is_sent(kind: &Kind, below: &str) -> bool {
    matches!(
        (kind.rules.group(), kind.resource(), below),
        ("", "pods", "binding" | "eviction") | ("", "serviceaccounts", "token")
    )
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
    pub(super) fn kind(&self) -> &Kind {
        &self.shown.kind
    }

    /// The rules of the version that is asked for.
    pub(super) fn rules(&self) -> &Strategy {
        self.shown.rules()
    }

    pub(super) fn resource(&self) -> Resource<'_> {
        self.tenant.view(self.shown.kind.clone(), self.shown.view)
    }

    async fn get(&self) -> Result<Response<Body>, Error> {
        let Target {
            namespace, name, ..
        } = &self.target;
        let object = self
            .resource()
            .get(namespace, name, self.query.text("resourceVersion"))
            .await?;
        self.answer(StatusCode::OK, &object.value)
    }

    /// One object, in the form that the caller accepts.
    pub(super) fn answer(
        &self,
        status: StatusCode,
        object: &Bytes,
    ) -> Result<Response<Body>, Error> {
        let media = self.shown.encoding.media();
        Ok(answer::typed(status, media, self.shown.object(object)?))
    }

    async fn list(&self) -> Result<Response<Body>, Error> {
        let options = self.query.list(&self.target.namespace)?;
        self.shown.list(self.resource().list(&options).await?)
    }

    async fn watch(&self) -> Result<Response<Body>, Error> {
        let timeout = self.query.timeout()?;
        let mut options = self.query.watch(&self.target.namespace);
        if options.send_initial_events && options.resource_version_match.is_empty() {
            let detail = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            let field = FieldError::forbidden(&Path::new("resourceVersionMatch"), detail);
            return Err(invalid("ListOptions", [field]));
        }
        let version = &options.resource_version;
        if !version.is_empty() && version.parse::<u64>().is_err() {
            // In Kubernetes no error of the API.
            let message = format!(
                "resourceVersion: Invalid value: {version:?}: strconv.ParseUint: parsing {version:?}: invalid syntax"
            );
            return Err(Error::new(Reason::Unknown, message));
        }
        if !self.target.name.is_empty() {
            options.selectors = self.query.list(&self.target.namespace)?.selectors;
            options.selectors.fields = format!("metadata.name={}", self.target.name);
        }
        let watch = self.resource().watch(&options).await?;
        let inner = self.face.0.clone();
        Ok(watch::answer(inner, watch, timeout, self.shown.clone()))
    }

    /// What a namespace waits for may have come.
    pub(super) fn moved(&self) {
        if std::ptr::eq(self.kind(), &raw const NAMESPACES) {
            self.face.0.tenancy.activate(self.tenant);
        }
    }

    /// A body that is no object of the kind.
    pub(super) fn json(&self, body: &[u8]) -> Result<Value, Error> {
        match decode::parse(body, format(self.headers)?, None) {
            Ok(read) => Ok(read.value),
            Err(Unreadable::Excess(error)) => Err(*error),
            Err(Unreadable::Syntax(words)) => Err(Error::bad_request(words)),
        }
    }

    /// The object in a body, and what to warn of.
    pub(super) fn object(&self, body: &[u8], options: &str) -> Result<(Value, Vec<String>), Error> {
        let read = self.reader(options)?(body)?;
        Ok((read.object, read.warnings))
    }

    /// What reads the object in a body.
    pub(super) fn reader(
        &self,
        options: &str,
    ) -> Result<impl Fn(&[u8]) -> Result<Decoded, Error> + Clone + Send + 'static, Error> {
        let format = format(self.headers)?;
        if format == Format::Protobuf && self.rules().custom.is_some() {
            return Err(answer::unsupported(false));
        }
        let validation = self.query.validation(options)?;
        let shown = self.shown.clone();
        Ok(move |body: &[u8]| {
            let rules = shown.rules();
            let expected = Expected {
                group: rules.group(),
                version: rules.version(),
                kind: &rules.kind,
                schema: shown.schema()?,
            };
            decode::object(body, format, &expected, validation)
        })
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

/// The object in a body, which is to be of this group, version and built-in kind, and what to warn of.
pub(super) fn read_typed(
    body: &[u8],
    headers: &HeaderMap,
    query: &Query,
    kind: [&str; 3],
    options: &str,
) -> Result<(Value, Vec<String>), Error> {
    let [group, version, kind] = kind;
    let schema = schema::builtin().of(group, version, kind);
    let expected = Expected {
        group,
        version,
        kind,
        schema: schema.ok_or_else(|| no_schema(kind))?,
    };
    let validation = query.validation(options)?;
    let read = decode::object(body, format(headers)?, &expected, validation)?;
    Ok((read.object, read.warnings))
}

/// A kind that has none is the server's own, and not served.
pub(super) fn no_schema(kind: &str) -> Error {
    let message = format!("there is no schema of {kind}");
    Error::new(Reason::Internal, message)
}

/// How a body is written.
fn format(headers: &HeaderMap) -> Result<Format, Error> {
    match answer::content_type(headers) {
        "application/json" => Ok(Format::Json),
        "application/yaml" => Ok(Format::Yaml),
        protobuf::CONTENT_TYPE => Ok(Format::Protobuf),
        _ => Err(answer::unsupported(true)),
    }
}
